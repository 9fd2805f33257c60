/** What this server says it can do. Only what works is here. */
import type { SessionState } from './command.ts'

const ALWAYS = ['IMAP4rev1', 'IMAP4rev2', 'SASL-IR', 'LITERAL+', 'ID', 'ENABLE']
const BEFORE_LOGIN = ['AUTH=PLAIN']
const AFTER_LOGIN = [
  'NAMESPACE',
  'CHILDREN',
  'SPECIAL-USE',
  'CREATE-SPECIAL-USE',
  'LIST-EXTENDED',
  'LIST-STATUS',
  'STATUS=SIZE',
  'UNSELECT',
  'UIDPLUS',
  'MULTIAPPEND',
  'MOVE',
  'IDLE',
  'ESEARCH',
  'SEARCHRES',
  'WITHIN',
  'CONDSTORE',
  'QRESYNC',
  'OBJECTID',
  'PREVIEW',
  'BINARY',
  'UTF8=ACCEPT',
  'QUOTA',
  'QUOTA=RES-STORAGE',
]

/** In the order told. APPENDLIMIT: RFC 7889. */
export function capabilities({ state }: { state: SessionState }, { messageBytes }: { messageBytes: number }): string[] {
  if (state === 'notAuthenticated') return [...ALWAYS, ...BEFORE_LOGIN]
  return [...ALWAYS, ...AFTER_LOGIN, `APPENDLIMIT=${messageBytes}`]
}
