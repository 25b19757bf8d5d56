/**
 * How long each node of a model takes, by ONNX Runtime's own profile: one file of events per session. In this process, by
 * onnxruntime-node, which alone keeps profiles.
 */
import * as TE from 'fp-ts/lib/TaskEither.js'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cleanMessage, type RunError, runError } from './error.ts'

/** A node as ONNX Runtime runs it, fused with others perhaps. */
export interface NodeTime {
  /** As ONNX Runtime calls it: the name in the model, with what its optimiser added. */
  readonly name: string
  readonly op: string
  /** Of the runs a quarter was faster: what else the machine does adds to the others. In microseconds. */
  readonly microseconds: number
  readonly inputs: ReadonlyArray<ReadonlyArray<number>>
  readonly outputs: ReadonlyArray<ReadonlyArray<number>>
}

export interface ProfileOptions {
  readonly threads: number
  /** Least number of runs, and least time over all of them in milliseconds. */
  readonly runs: number
  readonly milliseconds: number
}

/** Runs a model on numbers of these shapes, all float32, and tells how long its nodes took, in the order in which they ran. */
export const profileNodes = (
  model: Uint8Array,
  inputs: Readonly<Record<string, ReadonlyArray<number>>>,
  options: ProfileOptions,
): TE.TaskEither<RunError, ReadonlyArray<NodeTime>> =>
  TE.tryCatch(
    () => profile(model, inputs, options),
    (error) => {
      const found = cleanMessage(error instanceof Error ? error.message : String(error))
      return runError('a profile', 'onnxruntime-node, and room for temporary files', found, 'Run `chasec doctor`.')
    },
  )

const profile = async (
  model: Uint8Array,
  inputs: Readonly<Record<string, ReadonlyArray<number>>>,
  { threads, runs, milliseconds }: ProfileOptions,
): Promise<ReadonlyArray<NodeTime>> => {
  const { InferenceSession, Tensor } = await import('onnxruntime-node')
  const folder = await mkdtemp(join(tmpdir(), 'chasec-profile-'))
  try {
    const session = await InferenceSession.create(model, {
      executionProviders: ['cpu'],
      intraOpNumThreads: threads,
      enableProfiling: true,
      profileFilePrefix: join(folder, 'profile'),
    })
    const feeds = Object.fromEntries(
      Object.entries(inputs).map(([name, shape]) => [name, new Tensor('float32', numbersOf(shape), shape)]),
    )
    const start = performance.now()
    for (let run = 0; run < runs || performance.now() - start < milliseconds; run++) await session.run(feeds)
    session.endProfiling()
    await session.release()
    const [file = ''] = await readdir(folder)
    return timesOf(JSON.parse(await readFile(join(folder, file), 'utf8')))
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const numbersOf = (shape: ReadonlyArray<number>): Float32Array =>
  Float32Array.from({ length: shape.reduce((p, x) => p * x, 1) }, (_, i) => (((i * 37) % 101) + 1) / 101)

const suffix = '_kernel_time'

const timesOf = (events: unknown): ReadonlyArray<NodeTime> => {
  const nodes = new Map<string, Omit<NodeTime, 'microseconds'> & { readonly times: number[] }>()
  for (const event of Array.isArray(events) ? events : []) {
    const [name, time, args] = [field(event, 'name'), field(event, 'dur'), field(event, 'args')]
    if (typeof name !== 'string' || typeof time !== 'number' || !name.endsWith(suffix)) continue
    const key = name.slice(0, -suffix.length)
    const known = nodes.get(key)
    if (known !== undefined) known.times.push(time)
    else {
      const shapes = (side: string): ReadonlyArray<ReadonlyArray<number>> => shapesOf(field(args, side))
      const [ins, outs] = [shapes('input_type_shape'), shapes('output_type_shape')]
      nodes.set(key, { name: key, op: String(field(args, 'op_name')), inputs: ins, outputs: outs, times: [time] })
    }
  }
  return [...nodes.values()].map(({ times, ...node }) => {
    const sorted = times.toSorted((a, b) => a - b)
    return { ...node, microseconds: sorted[Math.floor(sorted.length / 4)] ?? 0 }
  })
}

const field = (of: unknown, name: string): unknown =>
  typeof of === 'object' && of !== null ? new Map<string, unknown>(Object.entries(of)).get(name) : undefined

/** Shapes as a profile lists them: `[{ "float": [1, 16] }]`. */
const shapesOf = (list: unknown): ReadonlyArray<ReadonlyArray<number>> =>
  (Array.isArray(list) ? list : []).flatMap((entry: unknown) =>
    typeof entry === 'object' && entry !== null
      ? Object.values(entry).map((shape: unknown) =>
          (Array.isArray(shape) ? shape : []).filter((size): size is number => typeof size === 'number'),
        )
      : [],
  )
