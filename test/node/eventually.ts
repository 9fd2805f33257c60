/** Waiting for a state of the cluster: generous in time, and telling in the end what it waited for. */

const LOOK_EVERY_MS = 300

/**
 * Looks again and again until there is something to see.
 * @param what completes "waited for …"
 * @param look an error counts as nothing to see; the last one is told
 * @throws Error after the deadline
 */
export async function eventually<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  deadlineMs = 180_000,
): Promise<T> {
  const deadline = Date.now() + deadlineMs
  let trouble: unknown
  for (;;) {
    try {
      const found = await look()
      if (found !== undefined && found !== false) return found
    } catch (error) {
      trouble = error
    }
    if (Date.now() > deadline) throw new Error(`waited for ${what}`, { cause: trouble })
    await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
  }
}
