/** The words that Kubernetes keeps of a container that has ended (core/v1 Container.terminationMessagePath). */
import { open } from 'node:fs/promises'

/** The kubelet reads no more of it. */
const MAX_BYTES = 4096

/** Writes what fits. Without such a file, or the right to write it, nothing happens: then there is no Kubernetes to tell. */
export async function writeTerminationLog(path: string, text: string): Promise<void> {
  const file = await open(path, 'r+').catch(() => undefined)
  if (!file) return
  try {
    await file.write(firstBytes(text, MAX_BYTES), 0)
  } catch {
    // The log line says the same.
  } finally {
    await file.close()
  }
}

/** The beginning of a text in UTF-8, cut between characters. */
function firstBytes(text: string, bytes: number): string {
  const target = new Uint8Array(bytes)
  const { read } = new TextEncoder().encodeInto(text, target)
  return text.slice(0, read)
}
