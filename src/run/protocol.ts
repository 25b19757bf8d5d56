/**
 * The messages between a {@link ../run/runner.ts | Runner} and its worker process, and the small guards that check
 * them on arrival. This file is loaded by both sides and imports nothing that the worker would have to install.
 */
import { isRecord } from '../ir/record.ts'
import { type DType, dtypes } from '../ir/dtype.ts'
import type { Dense } from '../ir/tensor.ts'

/** Raised whenever a message changes its meaning, so that a stale build of the worker is noticed. */
export const protocolVersion = 2

/** The packages that ONNX Runtime comes in, the one to be preferred first. */
export const runtimeNames = ['onnxruntime-node', 'onnxruntime-web'] as const

export type RuntimeName = (typeof runtimeNames)[number]

/** Where ONNX Runtime does the work. */
export const providerNames = ['cpu', 'cuda', 'webgpu'] as const

export type Provider = (typeof providerNames)[number]

export const graphOptimizationLevels = ['disabled', 'basic', 'extended', 'layout', 'all'] as const

/** How much ONNX Runtime rewrites a model before it runs it. */
export type GraphOptimizationLevel = (typeof graphOptimizationLevels)[number]

/** An input or output of a model as ONNX Runtime sees it. */
export interface ValueInfo {
  readonly name: string
  readonly dtype: DType
  /**
   * Sizes, names of symbolic dimensions, null for dimensions without a name. ONNX Runtime reports a value of unknown
   * rank like a scalar: as no dimensions.
   */
  readonly shape: ReadonlyArray<number | string | null>
}

/** Which nodes of a loaded model ended up where. */
export interface Placement {
  /** Nodes that run on the chosen provider; undefined when that is all of them. */
  readonly onProvider?: number
  /** Operators that ONNX Runtime runs on the CPU instead, each once, sorted. */
  readonly onCpu: ReadonlyArray<string>
}

/** What the session that is being loaded should be like. */
export interface WireSessionOptions {
  readonly provider: Provider
  readonly threads?: number
  readonly graphOptimizationLevel?: GraphOptimizationLevel
  readonly freeDimensions?: Readonly<Record<string, number>>
}

/** A tensor by name: its place in a list is its place in the model's inputs or outputs. */
export type WireTensors = ReadonlyArray<readonly [name: string, tensor: Dense]>

export type Request =
  /** Loads the first of `runtimes` that there is; the worker has no other. */
  | { readonly kind: 'hello'; readonly runtimes: ReadonlyArray<RuntimeName> }
  | { readonly kind: 'probe'; readonly provider: Provider; readonly timed: boolean }
  | {
      readonly kind: 'chunk'
      readonly upload: number
      readonly total: number
      readonly offset: number
      readonly bytes: Uint8Array
    }
  | {
      readonly kind: 'load'
      /** A file, or the number of an upload. */
      readonly model: string | number
      readonly externalData: ReadonlyArray<{ readonly path: string; readonly upload: number }>
      readonly options: WireSessionOptions
    }
  | { readonly kind: 'run'; readonly model: number; readonly feeds: WireTensors }
  | { readonly kind: 'prepare'; readonly model: number; readonly feeds: WireTensors }
  | { readonly kind: 'time'; readonly prepared: number; readonly warmup: number; readonly seconds: number }
  | { readonly kind: 'release'; readonly model: number }

export interface Envelope {
  readonly id: number
  readonly request: Request
}

/**
 * Why the worker could not do what it was asked: the package is missing, the model has a type that cannot cross the
 * boundary, or ONNX Runtime refused.
 */
export type ProblemKind = 'missing' | 'unsupported' | 'refused'

export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly kind: ProblemKind; readonly message: string }

/** Answer to `hello`. */
export interface Hello {
  readonly protocol: number
  readonly runtime: RuntimeName
  /** Version of that package. */
  readonly version: string
  /** Providers this build of ONNX Runtime knows, whether or not they work here. */
  readonly backends: ReadonlyArray<string>
}

/** Answer to `probe`: what the probe model computes, and the time one run of it takes (0 unless asked for). */
export interface Probe {
  readonly milliseconds: number
  readonly output: Float32Array
}

/** Answer to `load`. */
export interface Loaded {
  readonly model: number
  readonly inputs: ReadonlyArray<ValueInfo>
  readonly outputs: ReadonlyArray<ValueInfo>
  readonly placement: Placement
}

/** Answer to `time`. */
export interface Timing {
  /** How often the model ran. */
  readonly iterations: number
  /** Time of all runs together, nothing else counted. */
  readonly milliseconds: number
}

const known: ReadonlySet<string> = new Set(dtypes)

export const isDType = (x: unknown): x is DType => typeof x === 'string' && known.has(x)

const isString = (x: unknown): x is string => typeof x === 'string'
const isNumber = (x: unknown): x is number => typeof x === 'number'
const isBytes = (x: unknown): x is Uint8Array => x instanceof Uint8Array

const listOf =
  <A>(isItem: (x: unknown) => x is A) =>
  (x: unknown): x is ReadonlyArray<A> =>
    Array.isArray(x) && x.every(isItem)

const isDim = (x: unknown): x is number | string | null => x === null || isNumber(x) || isString(x)

const isValueInfo = (x: unknown): x is ValueInfo =>
  isRecord(x) && isString(x['name']) && isDType(x['dtype']) && listOf(isDim)(x['shape'])

const isPlacement = (x: unknown): x is Placement =>
  isRecord(x) && (x['onProvider'] === undefined || isNumber(x['onProvider'])) && listOf(isString)(x['onCpu'])

const isDense = (x: unknown): x is Dense =>
  isRecord(x) &&
  x['tag'] === 'Dense' &&
  isDType(x['dtype']) &&
  listOf(isNumber)(x['shape']) &&
  isBytes(x['bytes']) &&
  (x['strings'] === undefined || listOf(isBytes)(x['strings']))

const isNamedTensor = (x: unknown): x is readonly [string, Dense] =>
  Array.isArray(x) && x.length === 2 && isString(x[0]) && isDense(x[1])

export const isWireTensors = listOf(isNamedTensor)

/** Both ends of a request are ours, so only its kind is looked at. */
export const isEnvelope = (x: unknown): x is Envelope =>
  isRecord(x) && isNumber(x['id']) && isRecord(x['request']) && isString(x['request']['kind'])

export const isReply = (x: unknown): x is Reply =>
  isRecord(x) && isNumber(x['id']) && (x['ok'] === true || (x['ok'] === false && isString(x['message'])))

export const isHello = (x: unknown): x is Hello =>
  isRecord(x) &&
  isNumber(x['protocol']) &&
  runtimeNames.some((name) => name === x['runtime']) &&
  isString(x['version']) &&
  listOf(isString)(x['backends'])

export const isProbe = (x: unknown): x is Probe =>
  isRecord(x) && isNumber(x['milliseconds']) && x['output'] instanceof Float32Array

export const isLoaded = (x: unknown): x is Loaded =>
  isRecord(x) &&
  isNumber(x['model']) &&
  listOf(isValueInfo)(x['inputs']) &&
  listOf(isValueInfo)(x['outputs']) &&
  isPlacement(x['placement'])

export const isTiming = (x: unknown): x is Timing =>
  isRecord(x) && isNumber(x['iterations']) && isNumber(x['milliseconds'])

export const isCount = isNumber
