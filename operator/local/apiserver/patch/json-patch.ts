/** RFC 6902, with the bounds and refusals of the real server. */
import { clone, equal, isObject, type Json } from '../json.ts'
import { ApiError, badRequest, unprocessable } from '../status-errors.ts'

const MAX_OPERATIONS = 10_000

type Operation = { op: string; path: string; from?: string; value?: Json }

/** @throws ApiError 400 for a malformed patch, 422 for one that does not apply */
export function jsonPatch(document: Json, patch: Json): Json {
  if (!Array.isArray(patch)) {
    throw badRequest('error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch')
  }
  if (patch.length > MAX_OPERATIONS) {
    const message = `The allowed maximum operations in a JSON patch is ${MAX_OPERATIONS}, got ${patch.length}`
    throw new ApiError(413, 'RequestEntityTooLarge', message)
  }
  let result = clone(document)
  for (const operation of patch) {
    if (!isObject(operation) || typeof operation.op !== 'string' || typeof operation.path !== 'string')
      throw unprocessable()
    result = applyOperation(result, operation as Operation)
  }
  return result
}

function pointer(path: string): string[] {
  if (path === '') return []
  if (!path.startsWith('/')) throw unprocessable()
  const keys = path.slice(1).split('/')
  if (keys.includes('__proto__')) throw unprocessable()
  return keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function applyOperation(document: Json, { op, path, from = '', value = null }: Operation): Json {
  switch (op) {
    case 'add':
      return add(document, pointer(path), value)
    case 'replace':
      return add(remove(document, pointer(path)), pointer(path), value)
    case 'remove':
      return remove(document, pointer(path))
    case 'move': {
      const moved = required(document, pointer(from))
      return add(remove(document, pointer(from)), pointer(path), moved)
    }
    case 'copy':
      return add(document, pointer(path), clone(required(document, pointer(from))))
    case 'test':
      if (!equal(read(document, pointer(path)) ?? null, value)) throw unprocessable()
      return document
    default:
      throw unprocessable()
  }
}

function read(document: Json, keys: string[]): Json | undefined {
  let value: Json | undefined = document
  for (const key of keys) {
    if (Array.isArray(value)) value = value[Number(key)]
    else value = isObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
  }
  return value
}

function required(document: Json, keys: string[]): Json {
  const value = read(document, keys)
  if (value === undefined) throw unprocessable()
  return value
}

function add(document: Json, keys: string[], value: Json): Json {
  const key = keys.at(-1)
  if (key === undefined) return value
  const parent = required(document, keys.slice(0, -1))
  if (Array.isArray(parent)) {
    const index = key === '-' ? parent.length : Number(key)
    if (!Number.isInteger(index) || index < 0 || index > parent.length) throw unprocessable()
    parent.splice(index, 0, value)
  } else if (isObject(parent)) parent[key] = value
  else throw unprocessable()
  return document
}

function remove(document: Json, keys: string[]): Json {
  required(document, keys)
  const key = keys.at(-1)
  if (key === undefined) return null
  const parent = read(document, keys.slice(0, -1))
  if (Array.isArray(parent)) parent.splice(Number(key), 1)
  else if (isObject(parent)) delete parent[key]
  return document
}
