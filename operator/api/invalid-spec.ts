/** A spec that the CRD let through and we still cannot work with. */

import { z } from 'zod'

/** `message` names every bad field. */
export class InvalidSpec extends Error {
  override name = 'InvalidSpec'
}

/**
 * The spec with every default filled in, also where the API server runs an older CRD than ours.
 * @throws InvalidSpec
 */
export function parseSpec<T extends z.ZodType>(schema: T, spec: unknown): z.output<T> {
  const result = schema.safeParse(spec)
  if (result.success) return result.data
  throw new InvalidSpec(
    result.error.issues.map((issue) => `spec.${z.core.toDotPath(issue.path)}: ${issue.message}`).join('; '),
  )
}
