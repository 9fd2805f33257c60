import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textsLike, textsSay } from './texts.ts'

const SPF = 'v=spf1 mx ip4:203.0.113.7 ip6:2001:db8::7 -all'
const DKIM = 'v=DKIM1; k=rsa; p=AAAABBBB'
const DMARC = 'v=DMARC1; p=reject; rua=mailto:dmarc@example.org'
const STS = 'v=STSv1; id=1234'
const TLSRPT = 'v=TLSRPTv1; rua=mailto:dmarc@example.org'

for (const [what, wanted, ...texts] of [
  ['SPF in capitals and with more spaces', SPF, 'V=SPF1  MX IP4:203.0.113.7 +ip6:2001:DB8:0::7  -ALL'],
  ['SPF that lets others pass too', SPF, `${SPF.replace('mx', 'include:_spf.example.net mx')}`],
  ['SPF that ends softly', SPF, SPF.replace('-all', '~all')],
  ['SPF with a network that holds our address', SPF, 'v=spf1 mx ip4:203.0.113.0/24 ip6:2001:db8::/32 -all'],
  ['SPF with modifiers', SPF, `${SPF} redirect=_spf.example.net exp=why.example.org`],
  ['DMARC beside one in quotes, which nobody reads', DMARC, DMARC, `"${DMARC}"`],
  ['SPF beside other texts', SPF, 'google-site-verification=x', SPF, 'v=spf10 no such version'],
  ['a DKIM key in other order', DKIM, 'v=DKIM1;p=AAAA BBBB ; k=rsa; n=notes; x=unknown;'],
  ['a DKIM key without what is understood', DKIM, 'p=AAAABBBB'],
  ['a DKIM key for SHA-256 and email', DKIM, `${DKIM}; h=sha1:sha256; s=email; t=s`],
  [
    'DMARC in other order, defaults spelled out',
    DMARC,
    'v=DMARC1;rua=mailto:DMARC@example.org; adkim=r; sp=reject;pct=100; p=Reject;',
  ],
  [
    'DMARC with more receivers',
    DMARC,
    'v=DMARC1; p=reject; rua=mailto:a@example.net,mailto:dmarc@example.org!10m; ruf=mailto:x@y',
  ],
  ['an MTA-STS id with a semicolon behind it', STS, 'v=STSv1;id=1234;'],
  ['TLS-RPT with more receivers', TLSRPT, 'v=TLSRPTv1;rua=mailto:dmarc@example.org,https://reports.example.net/'],
] as const) {
  test(`${what} says what is wanted`, () => assert.equal(textsSay(wanted, textsLike(wanted, texts)), true))
}

for (const [what, wanted, ...texts] of [
  ['nothing', SPF],
  ['SPF twice (RFC 7208 §4.5)', SPF, SPF, 'v=spf1 -all'],
  ['a record in quotes of its own', 'v=DMARC1; p=reject', '"v=DMARC1; p=reject; "'],
  ['SPF without one of ours', SPF, 'v=spf1 mx include:_spf.example.net ~all'],
  ['SPF that lets everybody pass', SPF, SPF.replace('-all', '+all')],
  ['SPF that says nothing of the rest', SPF, SPF.replace('-all', '?all')],
  ['SPF without an end', SPF, SPF.replace(' -all', '')],
  ['SPF with ours behind the end', SPF, 'v=spf1 all mx ip4:203.0.113.7 ip6:2001:db8::7 -all'],
  ['SPF that refuses somebody first', SPF, SPF.replace('mx', '-ip4:203.0.113.0/24 mx')],
  ['SPF with a network beside our address', SPF, SPF.replace('ip4:203.0.113.7', 'ip4:203.0.113.8/30')],
  ['SPF with something that is no network', SPF, SPF.replace('ip4:203.0.113.7', 'ip4:203.0.113/99')],
  ['two DKIM keys (RFC 6376 §3.6.2.2)', DKIM, DKIM, 'k=rsa; p=OLD'],
  ['a revoked DKIM key', DKIM, 'v=DKIM1; k=rsa; p='],
  ['a DKIM key in test mode', DKIM, `${DKIM}; t=y`],
  ['a DKIM key for SHA-1 alone', DKIM, `${DKIM}; h=sha1`],
  ['a DKIM key whose version is not first', DKIM, 'k=rsa; v=DKIM1; p=AAAABBBB'],
  ['a DKIM key of another algorithm', DKIM, 'v=DKIM1; k=ed25519; p=AAAABBBB'],
  ['DMARC twice (RFC 7489 §6.6.3)', DMARC, DMARC, 'v=DMARC1; p=none'],
  ['DMARC for a part of the mail', DMARC, `${DMARC}; pct=50`],
  ['DMARC with a weaker policy for subdomains', DMARC, `${DMARC}; sp=none`],
  ['DMARC without our receiver', DMARC, 'v=DMARC1; p=reject; rua=mailto:else@example.org'],
  ['an older MTA-STS id', STS, 'v=STSv1; id=1233'],
] as const) {
  test(`${what} does not say what is wanted`, () => assert.equal(textsSay(wanted, textsLike(wanted, texts)), false))
}
