/** /admin/v1/accounts: how the operator creates, changes and removes accounts. */
import { z } from 'zod'
import { type Account, type Accounts, AddressTaken, UnknownDomain } from '../accounts/accounts.ts'
import { sendJson } from '../http/answers.ts'
import { readJson } from '../http/body.ts'
import { HttpError, methodNotAllowed } from '../http/errors.ts'
import type { NamedRoute } from '../http/server.ts'
import type { RequestContext } from '../http/types.ts'
import type { AdminToken } from './token.ts'

const PATH = '/admin/v1/accounts'
const MAX_BODY_BYTES = 1_048_576
const MAX_PAGE = 1000

const ATOM = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
/** A dot-string (RFC 5321 §4.1.2) at a domain of A-labels (RFC 5890); which domains are ours is asked elsewhere. */
const address = z
  .string()
  .max(254)
  .regex(
    new RegExp(`^${ATOM}(?:\\.${ATOM})*@(?:${LABEL}\\.)+${LABEL}$`, 'i'),
    'must be an address like ann@example.org',
  )
const accountSpec = z.strictObject({
  address,
  aliases: z.array(address).max(1000).default([]),
  password: z.string().min(1).max(1024).optional(),
  displayName: z.string().max(256).optional(),
  quotaBytes: z.number().int().positive().max(Number.MAX_SAFE_INTEGER).optional(),
  disabled: z.boolean().optional(),
})
const page = z.strictObject({
  after: z.string().max(254).optional(),
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(100),
})

/**
 * `PUT`, `GET`, `DELETE /admin/v1/accounts/{address}` and `GET /admin/v1/accounts?after&limit`. All are idempotent.
 * 404 for everything while there is no token file.
 */
export function adminRoute({ accounts, token }: { accounts: Accounts; token: AdminToken }): NamedRoute {
  return {
    name: 'admin',
    inside: true,
    async handle(context) {
      const { pathname } = context.url
      if (pathname !== PATH && !pathname.startsWith(`${PATH}/`)) return false
      const access = token.check(context.request.headers.authorization)
      if (access === 'off') return false
      if (access === 'refused') {
        throw new HttpError(401, 'a valid bearer token is needed', {
          headers: { 'WWW-Authenticate': 'Bearer realm="admin"' },
        })
      }
      if (pathname === PATH) await list(context, accounts)
      else await one(context, accounts, addressOf(pathname))
      return true
    },
  }
}

async function list({ request, response, url }: RequestContext, accounts: Accounts): Promise<void> {
  if (request.method !== 'GET') throw methodNotAllowed(['GET'])
  const { after, limit } = checked(page, Object.fromEntries(url.searchParams))
  const found = await accounts.list({ limit, ...(after === undefined ? {} : { after }) })
  sendJson(response, 200, { accounts: found.map(shown) })
}

async function one({ request, response }: RequestContext, accounts: Accounts, name: string): Promise<void> {
  switch (request.method) {
    case 'GET': {
      const account = await accounts.find(name)
      if (!account) throw new HttpError(404, `there is no account ${name}`)
      return sendJson(response, 200, { account: shown(account) })
    }
    case 'PUT': {
      const { aliases, address: given, ...rest } = checked(accountSpec, await readJson(request, MAX_BODY_BYTES))
      if (given.toLowerCase() !== name) {
        throw new HttpError(422, 'address: must be the one in the path', {
          problem: { fields: { address: 'must be the one in the path' } },
        })
      }
      const { account, created } = await put(accounts, { address: name, aliases, ...defined(rest) })
      return sendJson(response, created ? 201 : 200, { account: shown(account) })
    }
    case 'DELETE': {
      if (!(await accounts.remove(name))) throw new HttpError(404, `there is no account ${name}`)
      response.writeHead(204).end()
      return
    }
    default:
      throw methodNotAllowed(['GET', 'PUT', 'DELETE'])
  }
}

async function put(accounts: Accounts, spec: Parameters<Accounts['put']>[0]) {
  try {
    return await accounts.put(spec)
  } catch (error) {
    if (error instanceof AddressTaken)
      throw new HttpError(409, error.message, { cause: error, problem: { reason: 'AddressTaken' } })
    if (error instanceof UnknownDomain) {
      throw new HttpError(422, error.message, {
        cause: error,
        problem: { reason: 'UnknownDomain', fields: { address: error.message } },
      })
    }
    throw error
  }
}

/** Field messages by dotted path, so that the operator can put them in a condition. */
function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const fields = Object.fromEntries(
    result.error.issues.map((issue) => [issue.path.join('.') || '(body)', issue.message]),
  )
  const detail = Object.entries(fields).map(([field, message]) => `${field}: ${message}`)
  throw new HttpError(422, detail.join('; '), { problem: { fields } })
}

function addressOf(pathname: string): string {
  try {
    return decodeURIComponent(pathname.slice(PATH.length + 1)).toLowerCase()
  } catch {
    throw new HttpError(400, 'the address in the path is not percent-encoded UTF-8')
  }
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Without the fields that are undefined. */
function defined<T extends object>(value: T): Defined<T> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as Defined<T>
}

const shown = ({ address: name, disabled, quotaBytes, usedBytes }: Account) => ({
  address: name,
  disabled,
  quotaBytes: quotaBytes ?? null,
  usedBytes,
})
