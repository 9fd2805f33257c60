/** Which names of fields, variables and flags stand before something that must not be seen. Pure. */

/** Anywhere in a name, whatever it is written with: DB_PASSWORD, authToken, X-Api-Key. */
const PARTS =
  /passw|passwd|passphrase|pwd|secret|token|credential|apikey|accesskey|privatekey|secretkey|signingkey|encryptionkey|sshkey|accountkey|authoriz|bearer|connectionstring|cookie|hash/
/** Only as a word of their own, or at the end: "author" and "passFor" are none. */
const WORDS = new Set(['pass', 'pw', 'auth', 'cred', 'creds', 'dsn', 'salt', 'otp', 'pin', 'jwt', 'sas', 'key'])
/** Names of ours and of Kubernetes that sound so and are none. */
const HARMLESS = new Set([
  'passfor',
  'secretname',
  'key',
  'keyfile',
  'publickey',
  'credentialsdir',
  'podtemplatehash',
  'controllerrevisionhash',
  'dnskey',
])

export function isSecretName(name: string): boolean {
  const plain = name.toLowerCase().replace(/[^a-z0-9]/g, '')
  if (HARMLESS.has(plain)) return false
  if (PARTS.test(plain) || /(pass|auth)$/.test(plain)) return true
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^a-z0-9]+/)
  return words.some((word) => WORDS.has(word) && !(word === 'key' && words.length === 1))
}
