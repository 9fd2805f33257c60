/**
 * Strategic merge patch of the built-in kinds: lists with a merge key are merged by it, with the directives `$patch`,
 * `$retainKeys`, `$setElementOrder/x` and `$deleteFromPrimitiveList/x` (k8s.io/apimachinery pkg/util/strategicpatch).
 */
import { equal, isObject, type Json, type JsonObject } from '../json.ts'
import { propertySchema, type Schema } from '../schema.ts'
import { badRequest } from '../status-errors.ts'

export function strategicMergePatch(target: Json | undefined, patch: Json, schema: Schema | undefined): Json {
  if (!isObject(patch)) return patch
  const directive = patch.$patch
  if (directive === 'delete') return {}
  const { $patch: _patch, $retainKeys: retain, ...rest } = patch
  if (directive === 'replace') return rest
  if (directive !== undefined && directive !== 'merge') throw badRequest(`Unknown patch type found: ${directive}`)
  let result: JsonObject = isObject(target) ? { ...target } : {}
  if (Array.isArray(retain)) result = Object.fromEntries(Object.entries(result).filter(([key]) => retain.includes(key)))
  for (const [key, value] of Object.entries(rest)) {
    if (value === undefined || key.startsWith('$setElementOrder/')) continue
    const doomed = /^\$deleteFromPrimitiveList\/(.*)$/.exec(key)?.[1]
    if (doomed !== undefined) {
      const list = result[doomed]
      if (Array.isArray(list) && Array.isArray(value))
        result[doomed] = list.filter((item) => !value.some((gone) => equal(gone, item)))
      continue
    }
    const below = schema && propertySchema(schema, key)
    if (value === null) delete result[key]
    else if (Array.isArray(value) && below?.['x-kubernetes-patch-strategy'] === 'merge')
      result[key] = mergeList(result[key], value, below)
    else result[key] = strategicMergePatch(result[key], value, below)
  }
  for (const [key, order] of Object.entries(rest)) {
    const ordered = /^\$setElementOrder\/(.*)$/.exec(key)?.[1]
    if (ordered === undefined || !Array.isArray(order)) continue
    const list = result[ordered]
    const mergeKey = schema && propertySchema(schema, ordered)?.['x-kubernetes-patch-merge-key']
    if (Array.isArray(list)) result[ordered] = inOrder(list, order, mergeKey)
  }
  return result
}

function mergeList(target: Json | undefined, patch: Json[], schema: Schema): Json[] {
  const mergeKey = schema['x-kubernetes-patch-merge-key']
  if (patch.some((item) => isObject(item) && item.$patch === 'replace' && Object.keys(item).length === 1)) {
    return patch.filter((item) => !(isObject(item) && item.$patch === 'replace'))
  }
  let result = Array.isArray(target) ? [...target] : []
  for (const item of patch) {
    if (mergeKey === undefined || !isObject(item)) {
      if (!result.some((other) => equal(other, item))) result.push(item)
      continue
    }
    const key = item[mergeKey]
    if (key === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${mergeKey}`)
    const same = (other: Json) => isObject(other) && equal(other[mergeKey], key)
    if (item.$patch === 'delete') result = result.filter((other) => !same(other))
    else if (result.some(same))
      result = result.map((other) => (same(other) ? strategicMergePatch(other, item, schema.items) : other))
    else result.push(strategicMergePatch({}, item, schema.items))
  }
  return result
}

/** Items that the order names come in that order; the others keep their places as far as that leaves any. */
function inOrder(list: Json[], order: Json[], mergeKey: string | undefined): Json[] {
  const keyOf = (item: Json): Json | undefined => (mergeKey !== undefined && isObject(item) ? item[mergeKey] : item)
  const rank = (item: Json): number => order.findIndex((entry) => equal(keyOf(entry), keyOf(item)))
  const named = list.filter((item) => rank(item) >= 0).sort((a, b) => rank(a) - rank(b))
  return [...named, ...list.filter((item) => rank(item) < 0)]
}
