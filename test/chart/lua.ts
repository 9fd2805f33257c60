/** Argo CD's health checks in a real Lua: `obj` is a table as Argo CD makes it, the answer is the check's. */

import { LuaFactory } from 'wasmoon'

export interface Health {
  status: string
  message: string
}

/** Runs scripts, each in a state of its own. */
export interface HealthChecker {
  check(script: string, object: object): Promise<Health>
}

/** Loads the interpreter (WebAssembly) once. */
export function createHealthChecker(): HealthChecker {
  const factory = new LuaFactory()
  return {
    async check(script, object) {
      // Argo CD opens base, table, string and a little of os; a script that wants more fails there too.
      const lua = await factory.createEngine({ openStandardLibs: true, injectObjects: false })
      try {
        const sandbox = 'io = nil; os = nil; debug = nil; package = nil; require = nil; utf8 = nil; coroutine = nil\n'
        await lua.doString(`${sandbox}obj = ${luaTable(object)}`)
        const answer: { status?: unknown; message?: unknown } = await lua.doString(script)
        return { status: String(answer.status), message: String(answer.message) }
      } finally {
        lua.global.close()
      }
    },
  }
}

/** JSON as a Lua table constructor: null is absent, as in Argo CD. */
function luaTable(value: unknown): string {
  if (value === null || value === undefined) return 'nil'
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object') return String(value)
  if (Array.isArray(value)) return `{${value.map(luaTable).join(', ')}}`
  return `{${Object.entries(value)
    .map(([key, field]) => `[${quoted(key)}] = ${luaTable(field)}`)
    .join(', ')}}`
}

/** By bytes, so that no character of the text means anything to Lua. */
const quoted = (text: string) =>
  `"${[...Buffer.from(text)].map((byte) => `\\${String(byte).padStart(3, '0')}`).join('')}"`
