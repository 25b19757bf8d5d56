/** Finds sizes and ranges of values that a model accepts, by running it. */
import * as E from 'fp-ts/lib/Either.js'
import { type RunError, runError } from './error.ts'
import { seededInputs, showSizes, type Sizes, type ValueRange, valueRanges } from './inputs.ts'
import type { ValueInfo } from './protocol.ts'
import type { ModelHandle, Runner, Tensors } from './runner.ts'

/** One run of a model on seeded inputs. */
export interface Run {
  readonly seed: number
  readonly feeds: Tensors
  readonly outputs: Tensors
}

/** A choice of sizes that a model ran with for every seed. */
export interface Accepted {
  readonly sizes: Sizes
  readonly runs: ReadonlyArray<Run>
}

export interface Acceptance {
  readonly range: ValueRange
  /** At least one. */
  readonly accepted: ReadonlyArray<Accepted>
}

const isInteger = (input: ValueInfo): boolean => /^u?int/.test(input.dtype) || input.dtype === 'string'

/**
 * Runs `model` with each of `choices` and every seed until `wanted` choices were accepted; if none is, again with
 * other ranges of values.
 *
 * Errors: the model accepts none of them (and how to bind sizes), or the process died.
 */
export const acceptedSizes = async (
  runner: Runner,
  model: ModelHandle,
  choices: ReadonlyArray<Sizes>,
  seeds: ReadonlyArray<number>,
  wanted: number,
  onTry: (note: string) => void,
): Promise<E.Either<RunError, Acceptance>> => {
  const ranges = model.inputs.some(isInteger) ? valueRanges : valueRanges.slice(0, 2)
  let refusal: { readonly sizes: Sizes; readonly error: RunError } | undefined
  for (const range of ranges) {
    const accepted: Accepted[] = []
    for (const sizes of choices) {
      if (accepted.length >= wanted) break
      onTry(showSizes(sizes))
      const runs: Run[] = []
      for (const seed of seeds) {
        const feeds = seededInputs(model.inputs, seed, sizes, range)
        if (E.isLeft(feeds)) return feeds
        const outputs = await runner.run(model, feeds.right)()
        if (E.isLeft(outputs)) {
          if (!runner.alive()) return atSizes(outputs.left, sizes)
          refusal ??= { sizes, error: outputs.left }
          break
        }
        runs.push({ seed, feeds: feeds.right, outputs: outputs.right })
      }
      if (runs.length === seeds.length) accepted.push({ sizes, runs })
    }
    if (accepted.length > 0) return E.right({ range, accepted })
  }
  const tried = choices.map(showSizes)
  const some = tried.length > 4 ? [...tried.slice(0, 4), `${tried.length - 4} more`] : tried
  return E.left(
    runError(
      model.name,
      'inputs that the model accepts',
      `none among the sizes tried (${some.join('; ')}); with ${showSizes(refusal?.sizes ?? {})}: ${refusal?.error.found ?? 'nothing'}`,
      'Bind the sizes that the model needs with `--shape name=size`, or give inputs of your own.',
    ),
  )
}

/** The same error, saying with which sizes it happened. */
export const atSizes = (error: RunError, sizes: Sizes): E.Either<RunError, never> =>
  E.left({ ...error, found: `${error.found} (sizes ${showSizes(sizes)})` })
