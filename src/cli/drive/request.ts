/** What another program's training loop asks of `chasec drive`: one line of JSON, and what is wrong with one. */
import * as E from 'fp-ts/lib/Either.js'
import { isRecord } from '../../ir/record.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { decodeRecipe, type Method } from '../../train/index.ts'

/** A tensor of the other program. */
export interface ForeignTensor {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  /** False for one that is not trained and so carries no mask. */
  readonly trained: boolean
}

export interface Start {
  readonly request: 'start'
  readonly method: Method
  readonly steps: number
  readonly stepsPerEpoch: number
  readonly seed: number
  /** Whether to go on from the state in the folder. */
  readonly resume: boolean
  /** Absent: weights go by the names and shapes that they have in the model. */
  readonly tensors?: ReadonlyArray<ForeignTensor>
}

/** The step is the number of optimiser steps done. */
export type Request =
  Start | { readonly request: 'update'; readonly step: number } | { readonly request: 'save'; readonly step: number }

export type RequestError = Failure<'RequestError'>

export const requestError = (subject: string, expected: string, found: string, help: string): RequestError =>
  failure('RequestError', subject, expected, found, help)

type Fields = Readonly<Record<string, unknown>>

const known: Readonly<Record<Request['request'], ReadonlyArray<string>>> = {
  start: ['request', 'method', 'steps', 'stepsPerEpoch', 'seed', 'resume', 'tensors'],
  update: ['request', 'step'],
  save: ['request', 'step'],
}

/** The request that a line is. Errors: no JSON, another request, entries that are missing, wrong or unknown. */
export const decodeRequest = (line: string): E.Either<Failure, Request> => {
  const parsed = E.tryCatch((): unknown => JSON.parse(line), String)
  if (E.isLeft(parsed) || !isRecord(parsed.right)) return wrong('request', 'an object in JSON', line.slice(0, 60))
  const fields = parsed.right
  const { request } = fields
  if (request !== 'start' && request !== 'update' && request !== 'save') {
    return wrong('entry request', Object.keys(known).join(', '), shown(request))
  }
  const unknown = Object.keys(fields).find((key) => !known[request].includes(key))
  if (unknown !== undefined) return wrong(`entry ${unknown}`, `only ${known[request].join(', ')}`, 'this one')
  if (request === 'start') return startOf(fields)
  const step = countIn(fields, 'step', 0)
  return E.isLeft(step) ? step : E.right({ request, step: step.right })
}

const startOf = (fields: Fields): E.Either<Failure, Start> => {
  const recipe = decodeRecipe({
    method: fields['method'],
    seed: fields['seed'] ?? 0,
    epochs: 1,
    learningRate: noWarmUp,
  })
  if (E.isLeft(recipe)) return E.left(recipe.left[0])
  const steps = countIn(fields, 'steps', 1)
  if (E.isLeft(steps)) return steps
  const stepsPerEpoch = countIn(fields, 'stepsPerEpoch', 1)
  if (E.isLeft(stepsPerEpoch)) return stepsPerEpoch
  const { resume = false, tensors } = fields
  if (typeof resume !== 'boolean') return wrong('entry resume', 'true or false', shown(resume))
  const { method, seed } = recipe.right
  const start: Start = {
    request: 'start',
    method,
    steps: steps.right,
    stepsPerEpoch: stepsPerEpoch.right,
    seed,
    resume,
  }
  if (tensors === undefined) return E.right(start)
  const list = tensorsOf(tensors)
  return E.isLeft(list) ? list : E.right({ ...start, tensors: list.right })
}

const noWarmUp = { warmup: 0 }

const tensorsOf = (list: unknown): E.Either<RequestError, ReadonlyArray<ForeignTensor>> => {
  const out: ForeignTensor[] = []
  const names = new Set<string>()
  for (const entry of Array.isArray(list) ? list : [undefined]) {
    const tensor = tensorOf(entry)
    if (tensor === undefined) return wrong('entry tensors', 'a list of { name, shape, trained? }', shown(entry ?? list))
    if (names.has(tensor.name)) return wrong('entry tensors', 'every name once', `${tensor.name} twice`)
    names.add(tensor.name)
    out.push(tensor)
  }
  return E.right(out)
}

const tensorOf = (entry: unknown): ForeignTensor | undefined => {
  if (!isRecord(entry)) return undefined
  const { name, shape, trained = true } = entry
  if (typeof name !== 'string' || !isShape(shape) || typeof trained !== 'boolean') return undefined
  return { name, shape, trained }
}

const isShape = (x: unknown): x is ReadonlyArray<number> =>
  Array.isArray(x) && x.every((d) => Number.isSafeInteger(d) && d >= 0)

const countIn = (fields: Fields, key: string, least: number): E.Either<RequestError, number> => {
  const value = fields[key]
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least
    ? E.right(value)
    : wrong(`entry ${key}`, `a whole number of at least ${least}`, shown(value))
}

const shown = (x: unknown): string => (x === undefined ? 'nothing' : (JSON.stringify(x)?.slice(0, 60) ?? typeof x))

const wrong = (subject: string, expected: string, found: string): E.Either<RequestError, never> =>
  E.left(requestError(subject, expected, found, 'Send a request as chasec drive --help describes it.'))
