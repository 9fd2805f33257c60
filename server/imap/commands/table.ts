/** Every command by its name, "UID " in front where it takes UIDs. */
import type { AnyCommand } from '../command.ts'
import { append } from './append.ts'
import { authenticate, login } from './authenticate.ts'
import { capability, id, logout, noop, startTls } from './basic.ts'
import { check, close, unselect } from './close.ts'
import { copy, move } from './copy.ts'
import { create } from './create.ts'
import { deleteMailbox } from './delete.ts'
import { enable } from './enable.ts'
import { expunge, uidExpunge } from './expunge.ts'
import { fetch } from './fetch.ts'
import { idle } from './idle.ts'
import { list, lsub } from './list.ts'
import { namespace } from './namespace.ts'
import { getQuota, getQuotaRoot } from './quota.ts'
import { rename } from './rename.ts'
import { search } from './search.ts'
import { examine, select } from './select.ts'
import { status } from './status.ts'
import { store } from './store.ts'
import { subscribe, unsubscribe } from './subscribe.ts'

export const commands: ReadonlyMap<string, AnyCommand> = new Map([
  ['CAPABILITY', capability],
  ['NOOP', noop],
  ['LOGOUT', logout],
  ['ID', id],
  ['STARTTLS', startTls],
  ['AUTHENTICATE', authenticate],
  ['LOGIN', login],
  ['ENABLE', enable],
  ['SELECT', select],
  ['EXAMINE', examine],
  ['CREATE', create],
  ['DELETE', deleteMailbox],
  ['RENAME', rename],
  ['SUBSCRIBE', subscribe],
  ['UNSUBSCRIBE', unsubscribe],
  ['LIST', list],
  ['LSUB', lsub],
  ['NAMESPACE', namespace],
  ['STATUS', status],
  ['APPEND', append],
  ['IDLE', idle],
  ['CHECK', check],
  ['CLOSE', close],
  ['UNSELECT', unselect],
  ['EXPUNGE', expunge],
  ['UID EXPUNGE', uidExpunge],
  ['SEARCH', search],
  ['UID SEARCH', search],
  ['FETCH', fetch],
  ['UID FETCH', fetch],
  ['STORE', store],
  ['UID STORE', store],
  ['COPY', copy],
  ['UID COPY', copy],
  ['MOVE', move],
  ['UID MOVE', move],
  ['GETQUOTA', getQuota],
  ['GETQUOTAROOT', getQuotaRoot],
])
