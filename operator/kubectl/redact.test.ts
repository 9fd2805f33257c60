import assert from 'node:assert/strict'
import { test } from 'node:test'
import { redacted } from './redact.ts'

const base64 = (text: string) => Buffer.from(text).toString('base64')
const secret = (data: Record<string, string>) => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 's' },
  data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])),
})
const configMap = (text: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c' }, data: { text } })
const textOf = (...args: Parameters<typeof redacted>) => redacted(...args).at(-1)?.data?.text

test('a Secret keeps its keys and lengths, public certificates among them', () => {
  const [object] = redacted([secret({ 'tls.crt': 'certificate', 'tls.key': 'private', empty: '' })])
  assert.deepEqual(object?.data, {
    'tls.crt': '[redacted], 11 bytes',
    'tls.key': '[redacted], 7 bytes',
    empty: '[redacted], 0 bytes',
  })
})

test('stringData never comes from the API, and does not pass either', () => {
  const [object] = redacted([{ ...secret({}), stringData: { token: 'x' } }])
  assert.equal('stringData' in (object ?? {}), false)
  assert.deepEqual(object?.data, { token: '[redacted], 1 bytes' })
})

test('a Secret has no annotations but those that are known to be harmless, and no fields of others', () => {
  const given = secret({ token: 'x' })
  const annotations = {
    'mail.openova.io/selector': 'default',
    'mail.openova.io/applied-hash': '0123456789',
    'example.org/note': 'hunter2',
  }
  const [object] = redacted([{ ...given, metadata: { ...given.metadata, annotations }, note: 'hunter2' }])
  assert.deepEqual(object?.metadata.annotations, { 'mail.openova.io/selector': 'default' })
  assert.doesNotMatch(JSON.stringify(object), /hunter2|0123456789/)
})

for (const [what, values, text, want] of [
  ['a value', ['hunter2hunter2'], 'it is hunter2hunter2!', 'it is [redacted]!'],
  ['its base64', ['hunter2hunter2'], base64('hunter2hunter2'), '[redacted]'],
  ['a value that contains another', ['abcdefgh', 'abcdefghijkl'], 'abcdefghijkl abcdefgh', '[redacted] [redacted]'],
  ['a value with a newline at its end', ['hunter2hunter2\n'], 'hunter2hunter2', '[redacted]'],
  ['a value of four characters, as a word', ['5432'], 'port 5432 of 15432', 'port [redacted] of 15432'],
  ['a shorter value: to take it out would only tell it', ['on'], 'it is on', 'it is on'],
  ['a password in a URL', [], 'postgres://app:pw@db:5432/app', 'postgres://[redacted]@db:5432/app'],
  ['a token in a URL', [], 'https://app@db/', 'https://[redacted]@db/'],
] as const) {
  test(`elsewhere: ${what}`, () => {
    assert.equal(textOf([...values.map((value) => secret({ token: value })), configMap(text)]), want)
  })
}

test('values of Secrets that are not in the report are not quoted by it', () => {
  assert.equal(textOf([configMap('alices-password')], [secret({ password: 'alices-password' })]), '[redacted]')
})

test('names that a report is about stay, although a Secret holds them too', () => {
  assert.equal(textOf([secret({ host: 'stalwart-db-rw' }), configMap('stalwart-db-rw')]), 'stalwart-db-rw')
})

test('a literal environment variable that is called like a secret', () => {
  const env = [
    { name: 'RELAY_PASSWORD', value: 'pw' },
    { name: 'LOG_LEVEL', value: 'info' },
    { name: 'API_TOKEN', valueFrom: { secretKeyRef: { name: 'api', key: 'token' } } },
  ]
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p' },
    spec: { containers: [{ name: 'engine', env }] },
  }
  const [object] = redacted([pod])
  assert.deepEqual(object?.spec, {
    containers: [{ name: 'engine', env: [{ name: 'RELAY_PASSWORD', value: '[redacted]' }, env[1], env[2]] }],
  })
})

/** What must not be seen: nothing in a Secret of the cluster, so found by where it stands or what it looks like. */
const NEEDLE = 'Tr0ub4dor'
const hidden: [what: string, text: string][] = [
  ['a password with slashes and at signs in a URL', `postgres://u:p@ss/${NEEDLE}@h/db`],
  ['a password with a quote in a URL', `url: postgres://u:x"${NEEDLE}'@h:5432/db?sslmode=require`],
  ['a token alone in a URL', `https://${NEEDLE}@git.example/repo`],
  ['an argument', `exec mail --token=${NEEDLE} --verbose`],
  ['an argument after its flag', `exec mail --password ${NEEDLE} --verbose`],
  ['an ini line', `[smtp]\npassword = correct ${NEEDLE} horse\nhost = mx`],
  ['an ini line without spaces', `SMTP_PW=${NEEDLE}`],
  ['a variable called AUTH', `AUTH: ${NEEDLE}`],
  ['JSON in one line', `{"host":"mx","apiKey":"a\\"${NEEDLE}","port":25}`],
  ['JSON in JSON', JSON.stringify({ inner: JSON.stringify({ password: NEEDLE }) })],
  ['JSON below a name', `{"credentials": {"primary": ["${NEEDLE}"]}}`],
  ['a list of variables in JSON', `[{"name": "DB_PASS", "value": "${NEEDLE}"}]`],
  ['a list of variables in YAML', `env:\n  - name: DB_PASS\n    value: ${NEEDLE}\n`],
  ['YAML', `smtp:\n  passphrase: ${NEEDLE}\n`],
  ['a YAML block', `smtp:\n  password: |-\n    ${NEEDLE}\n    ${NEEDLE}\n  host: mx\n`],
  ['YAML with the value in the next line', `password:\n  ${NEEDLE}\nhost: mx`],
  ['TOML', `secret_key = '${NEEDLE}'`],
  ['XML', `<config><password>${NEEDLE}</password></config>`],
  ['a header', `GET /\nAuthorization: Bearer ${NEEDLE}==`],
  ['a bearer alone', `sent bearer ${NEEDLE}.x`],
  ['a line of a log', `level=info msg="login" password=${NEEDLE} user=ann`],
  ['a line of a JSON log', `{"level":30,"req":{"headers":{"authorization":"Basic ${NEEDLE}"}}}`],
  ['prose', `the password is ${NEEDLE}, the token for ann was ${NEEDLE}`],
  ['a connection string', `host=db user=app password='${NEEDLE}' dbname=app`],
  ['a query', `https://api.example/?access_token=${NEEDLE}`],
  ['curl', `curl -u ann:${NEEDLE} https://mx`],
  ['a private key', `-----BEGIN RSA PRIVATE KEY-----\n${NEEDLE}\n-----END RSA PRIVATE KEY-----`],
  ['a private key that is cut off', `x -----BEGIN PRIVATE KEY-----\\n${NEEDLE}`],
  ['a hash of a password', `ann:$argon2id$v=19$m=65536,t=3,p=4$${NEEDLE}$${NEEDLE}`],
  ['an LDAP hash', `{SSHA}${NEEDLE}==`],
  ['a SCRAM verifier', `SCRAM-SHA-256$4096:${NEEDLE}$x:y`],
  ['a JWT', `eyJhbGciOi.${NEEDLE}.x`],
]
for (const [what, text] of hidden) {
  test(`not in a Secret and yet not seen: ${what}`, () => {
    const everywhere = [
      configMap(text),
      { ...configMap(''), kind: 'Pod', metadata: { name: 'p', annotations: { note: text }, labels: { note: text } } },
      { ...configMap(''), kind: 'Event', note: text, message: [text] },
    ]
    assert.doesNotMatch(JSON.stringify(redacted(everywhere)), new RegExp(NEEDLE))
  })
}

test('not seen where fields say what it is', () => {
  const container = {
    args: ['--token', NEEDLE, `--api-key=${NEEDLE}`, '-u', `ann:${NEEDLE}`],
    env: [
      { name: 'SMTP_PW', value: NEEDLE },
      { name: 'AUTH', value: NEEDLE },
      { name: 'DSN', value: `host=db password=${NEEDLE}` },
      { name: 'SMTPPASS', value: NEEDLE },
    ],
    lifecycle: { postStart: { httpGet: { httpHeaders: [{ name: 'Authorization', value: NEEDLE }] } } },
  }
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', annotations: { 'example.org/admin-password': NEEDLE, 'x/pin': NEEDLE } },
    spec: { containers: [container], clientSecret: NEEDLE, tokens: [NEEDLE], auth: { basic: { ann: NEEDLE } } },
  }
  const config = { ...configMap(''), data: { 'smtp-password': NEEDLE, 'api.key': NEEDLE } }
  assert.doesNotMatch(JSON.stringify(redacted([pod, config])), new RegExp(NEEDLE))
})

test('what is in a Secret is not seen, however it is written elsewhere', () => {
  const odd = `p@ss "wö/rd"${NEEDLE}`
  const pem = `-----BEGIN X-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END X-----`
  const secrets = [
    secret({ password: odd, short: 'hunter2', pem }),
    secret({ url: `postgres://app:s3cr%40t-of-${NEEDLE}@db:5432/app` }),
    secret({ dsn: `host=db password=in-a-dsn-${NEEDLE}`, pgpass: `db:5432:app:app:in-pgpass-${NEEDLE}` }),
    secret({ '.dockerconfigjson': JSON.stringify({ auths: { 'r.example': { password: `docker-${NEEDLE}` } } }) }),
  ]
  const seen = [
    odd,
    JSON.stringify({ x: odd }),
    encodeURIComponent(odd),
    base64(odd),
    base64(`${odd}\n`),
    Buffer.from(odd).toString('base64url'),
    Buffer.from(odd).toString('hex'),
    'it is hunter2.',
    '  MIIEvQIBADANBgkqhkiG9w0B\n',
    `s3cr@t-of-${NEEDLE}`,
    `in-a-dsn-${NEEDLE}`,
    `in-pgpass-${NEEDLE}`,
    `docker-${NEEDLE}`,
  ]
  for (const text of seen) {
    const [object] = redacted([configMap(`x ${text} y`)], secrets)
    assert.doesNotMatch(object?.data?.text ?? '', /Tr0ub4dor|hunter2|MIIEvQ/, text)
    assert.match(object?.data?.text ?? '', /^x .*redacted.* y$/s, text)
  }
})

test('what a report is about is still in it', () => {
  const server = {
    apiVersion: 'mail.openova.io/v1alpha1',
    kind: 'MailServer',
    metadata: { name: 's', annotations: { 'mail.openova.io/rotate-dkim': 'now' } },
    spec: {
      tls: { secretName: 'given' },
      spam: { greylisting: { passFor: '840h' } },
      storage: { s3: { endpoint: 'https://s3.example:9000', credentialsSecretRef: { name: 'minio' } } },
      database: { secretRef: { name: 'pg', key: 'url' } },
    },
    status: {
      conditions: [{ type: 'StorageReady', reason: 'SecretMissing', message: 'Secret minio does not exist' }],
      dkim: { keys: [{ domain: 'example.org', selector: 'default', secretName: 's-dkim-example.org-default' }] },
    },
  }
  assert.deepEqual(redacted([server]), [server])
  const env = [{ name: 'URL', valueFrom: { secretKeyRef: { name: 's-db-credentials', key: 'url' } } }]
  const volumes = [{ name: 'tls', secret: { secretName: 's-tls', defaultMode: 288 } }]
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, spec: { containers: [{ env }], volumes } }
  assert.deepEqual(redacted([pod]), [pod])
})
