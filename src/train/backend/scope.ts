import type { Core, Tensor } from './tensor.ts'

/**
 * Runs `body` and disposes every tensor made in it but those that `kept` picks from its result. A kept tensor made
 * outside stays what it was.
 */
export const scoped = <T>(core: Core, body: () => T, kept: (result: T) => ReadonlyArray<Tensor | undefined>): T => {
  const engine = core.engine()
  const keep: Tensor[] = []
  engine.startScope()
  try {
    const result = body()
    for (const tensor of kept(result)) if (tensor !== undefined) keep.push(tensor)
    return result
  } finally {
    engine.endScope(keep)
  }
}
