/** RFC 6902, with the refusals of the library that Kubernetes uses (evanphx/json-patch). */
import { clone, equal, isObject, type Json } from '../json.ts'
import { ApiError, badRequest } from '../status-errors.ts'

const MAX_OPERATIONS = 10_000

type Operation = { op: string; path: string; from?: string; value?: Json }

/** @throws ApiError 400 for a malformed patch, 422 for one that does not apply */
export function jsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch))
    throw badRequest('error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  if (patch.length > MAX_OPERATIONS) {
    throw new ApiError(
      413,
      'RequestEntityTooLarge',
      `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`,
    )
  }
  let result = clone(document)
  for (const operation of patch) {
    if (!isObject(operation) || typeof operation.op !== 'string' || typeof operation.path !== 'string') {
      throw badRequest('error decoding patch: operation without op or path')
    }
    result = applyOperation(result, operation as Operation)
  }
  return result
}

function refused(message: string): ApiError {
  return new ApiError(422, 'Invalid', `the server rejected our request due to an error in our request: ${message}`, {})
}

function pointer(path: string): string[] {
  if (path === '') return []
  if (!path.startsWith('/')) throw refused(`invalid path ${path}`)
  const keys = path
    .slice(1)
    .split('/')
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
  if (keys.includes('__proto__')) throw refused(`invalid path ${path}`)
  return keys
}

function applyOperation(document: Json, { op, path, from = '', value = null }: Operation): Json {
  switch (op) {
    case 'add':
      return add(document, pointer(path), value)
    case 'replace':
      read(document, pointer(path), `replace operation does not apply: doc is missing key: ${path}: missing value`)
      return add(remove(document, pointer(path), path), pointer(path), value)
    case 'remove':
      return remove(document, pointer(path), path)
    case 'move': {
      const moved = read(
        document,
        pointer(from),
        `move operation does not apply: doc is missing key: ${from}: missing value`,
      )
      return add(remove(document, pointer(from), from), pointer(path), moved)
    }
    case 'copy':
      return add(
        document,
        pointer(path),
        clone(
          read(
            document,
            pointer(from),
            `copy operation does not apply: doc is missing from path: ${from}: missing value`,
          ),
        ),
      )
    case 'test': {
      const found = read(document, pointer(path), undefined)
      if (!equal(found, value) && !(found === undefined && value === null))
        throw refused(`testing value ${path} failed: test failed`)
      return document
    }
    default:
      throw refused(`Unexpected kind: ${op}`)
  }
}

function read(document: Json, keys: string[], missing: string): Json
function read(document: Json, keys: string[], missing: undefined): Json | undefined
function read(document: Json, keys: string[], missing: string | undefined): Json | undefined {
  let value: Json | undefined = document
  for (const key of keys) {
    if (Array.isArray(value)) value = value[Number(key)]
    else value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
    if (value === undefined) break
  }
  if (value === undefined && missing !== undefined) throw refused(missing)
  return value
}

function parentOf(document: Json, keys: string[], what: string): { parent: Json; key: string } {
  const parent = read(
    document,
    keys.slice(0, -1),
    `${what} operation does not apply: doc is missing path: "/${keys.join('/')}": missing value`,
  )
  return { parent, key: keys.at(-1) ?? '' }
}

function add(document: Json, keys: string[], value: Json): Json {
  if (keys.length === 0) return value
  const { parent, key } = parentOf(document, keys, 'add')
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : Number(key)
    if (!Number.isInteger(index) || index < 0 || index > parent.length)
      throw refused(`add operation does not apply: Unable to access invalid index: ${key}: invalid index referenced`)
    parent.splice(index, 0, value)
  } else if (isObject(parent)) parent[key] = value
  else throw refused('add operation does not apply: missing value')
  return document
}

function remove(document: Json, keys: string[], path: string): Json {
  read(document, keys, `remove operation does not apply: doc is missing key: ${path}: missing value`)
  const { parent, key } = parentOf(document, keys, 'remove')
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else if (isObject(parent)) delete parent[key]
  return document
}
