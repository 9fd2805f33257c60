/** Who really sent a message, as far as DNS and signatures tell: SPF, DKIM, DMARC, ARC. */

/** RFC 8601 §2.7. */
export type AuthResult = 'none' | 'neutral' | 'pass' | 'fail' | 'softfail' | 'policy' | 'temperror' | 'permerror'

export interface SenderAuthInput {
  /** The message as received, before we add anything. */
  raw: Buffer
  clientAddress: string
  helo: string
  /** '' for the null reverse-path. */
  reversePath: string
}

export interface SenderAuthResults {
  spf: { result: AuthResult; domain: string }
  dkim: { result: AuthResult; domain: string; selector: string; aligned: boolean }[]
  dmarc: {
    result: AuthResult
    /** The published policy for this From domain; undefined without a record. */
    policy: 'none' | 'quarantine' | 'reject' | undefined
    domain: string
  }
  arc: { result: AuthResult }
  /** One Authentication-Results field (RFC 8601) with its CRLF, ready to be put on top. */
  header: string
}

export interface SenderAuth {
  /** Never throws and never takes longer than its deadline: what DNS does not tell in time is temperror. */
  verify(input: SenderAuthInput): Promise<SenderAuthResults>
}

/** A private key in use for a domain (RFC 6376, RFC 8463). */
export interface SigningKey {
  domain: string
  selector: string
  algorithm: 'rsa-sha256' | 'ed25519-sha256'
  /** PEM, PKCS#8. Never logged. */
  privateKey: string
}
