/**
 * Sparse training for a loop that runs in another program: what each request does, by way of files in a folder.
 *
 * The loop multiplies weights by masks; this decides the masks. A session is where one training stands between two requests.
 */
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../../ir/failure.ts'
import { dense, type Dense, float32View, type Tensor } from '../../ir/tensor.ts'
import { decodeSafetensors, encodeSafetensors, type TensorFile } from '../../masks/safetensors.ts'
import { runPipeline } from '../../passes/pass.ts'
import { cleanUp } from '../../passes/pipeline.ts'
import { readModel } from '../../read/file.ts'
import { idlePhase, policyOf, sparse } from '../../train/index.ts'
import { writeFileWhole } from '../write-file.ts'
import { type Binding, bindByCode, bindByName, toLayers, toTensors } from './binding.ts'
import { describeEvent } from './event.ts'
import { type Request, requestError, type Start } from './request.ts'
import { systemReason } from '../../ir/system-reason.ts'

export interface Session {
  readonly folder: string
  readonly start: Start
  readonly binding: Binding
  readonly policy: sparse.Policy
  readonly state: sparse.State
}

export const files = {
  model: 'model.onnx',
  weights: 'weights.safetensors',
  gradients: 'gradients.safetensors',
  masks: 'masks.safetensors',
  carry: 'carry.safetensors',
  state: 'state.safetensors',
} as const

/** What to send back, and the session after it. */
export interface Answered {
  readonly session: Session
  readonly answer: Readonly<Record<string, unknown>>
}

/** Answers a request. A failure leaves the session as it was. */
export const answer = async (
  folder: string,
  session: Session | undefined,
  request: Request,
): Promise<E.Either<Failure, Answered>> => {
  if (request.request === 'start') return begin(folder, request)
  if (session === undefined) {
    return E.left(requestError('request', 'start', request.request, 'Start before anything else.'))
  }
  return request.request === 'update' ? advance(session, request.step) : save(session, request.step)
}

const begin = async (folder: string, start: Start): Promise<E.Either<Failure, Answered>> => {
  const policy = policyFor(start)
  if (E.isLeft(policy)) return policy
  const binding = await bindingFor(folder, start)
  if (E.isLeft(binding)) return binding
  const stood = await stateFor(folder, start, binding.right, policy.right)
  if (E.isLeft(stood)) return stood
  const { state, step } = stood.right
  const session: Session = { folder, start, binding: binding.right, policy: policy.right, state }
  const written = await writeMasks(session, state.masks, files.masks)
  if (E.isLeft(written)) return written
  const { network, tensors } = binding.right
  return E.right({
    session,
    answer: {
      answer: 'start',
      policy: policy.right.name,
      masked: policy.right.masked === 'zeroed' ? 'zeroed' : 'trained',
      maskedDecay: policy.right.maskedDecay ?? 0,
      tensors: tensors.map(({ name }) => name),
      streams: network.streams.map(({ name, channels, scope }) => ({ name, channels, scope })),
      step,
      ...upcoming(session, step),
    },
  })
}

const policyFor = (start: Start): E.Either<Failure, sparse.Policy> => {
  const whole = policyOf(start.method, start)
  const idle = idlePhase(whole, start)
  if (idle !== undefined) return E.left(idle)
  if (!sparse.isOfMasksAlone(whole)) {
    const expected = 'a method of masks alone'
    return E.left(requestError('method', expected, whole.name, 'chasec train can do it; others are in chasec methods.'))
  }
  const policy = atFirstStep(whole)
  if (policy === undefined) {
    const expected = 'a method that goes by the gradients of single steps'
    const help = 'It differentiates the gradients of some batches before the first step: chasec train can do it.'
    return E.left(requestError('method', expected, whole.name, help))
  }
  if (policy.distribution.kind !== 'given') return E.right(policy)
  const expected = 'a distribution that goes by shapes alone'
  return E.left(
    requestError('distribution', expected, 'snip', 'Choose erk, er or uniform; chasec train knows snip too.'),
  )
}

/**
 * The policy as a loop can do it that has no gradients before it begins: what comes before the first step is done by the
 * gradients of that step, which is for the masks alone. Undefined where these do not suffice.
 */
const atFirstStep = (whole: sparse.Policy): sparse.Policy | undefined => {
  const { first, ...policy } = whole
  if (first === undefined) return policy
  const { batches = 1 } = first
  const suffices = batches === 1 && sparse.needs(whole, 0) !== 'weights, gradients and curvature'
  if (!suffices || policy.phases.length > 0) return undefined
  const phases = [{ from: 1, until: 2, every: 1, offset: 0, moves: first.moves }]
  return { ...policy, phases, skipsSteps: true }
}

const bindingFor = async (folder: string, { tensors }: Start): Promise<E.Either<Failure, Binding>> => {
  const graph = await readModel(join(folder, files.model))()
  if (E.isLeft(graph)) return graph
  const plain = runPipeline(cleanUp, graph.right)
  if (E.isLeft(plain)) return plain
  const binding = tensors === undefined ? E.right(bindByName(plain.right)) : bindByCode(plain.right, tensors)
  if (E.isLeft(binding) || binding.right.network.layers.length > 0) return binding
  const help = 'Masks are for convolutions and linear layers that share their weights with nothing.'
  return E.left(failure('DriveError', files.model, 'a layer whose weights are trained', 'none', help))
}

const stateFor = async (
  folder: string,
  start: Start,
  { network }: Binding,
  policy: sparse.Policy,
): Promise<E.Either<Failure, { readonly state: sparse.State; readonly step: number }>> => {
  if (!start.resume)
    return E.map((state: sparse.State) => ({ state, step: 0 }))(sparse.init(network, policy, start.seed))
  const file = await readTensors(folder, files.state)
  if (E.isLeft(file)) return file
  const saved = savedIn(file.right)
  if (saved === undefined || saved.identity !== identityOf(start)) {
    const found = saved === undefined ? 'another file' : 'one of another training'
    const help = 'Resume with the method, steps and seed that the training began with.'
    return E.left(failure('DriveError', files.state, 'a state of this training', found, help))
  }
  const arrays = Array.from(file.right.tensors, ([name, tensor]) => [name, arrayOf(tensor)] as const)
  const state = sparse.fromArrays(network, policy, new Map(arrays))
  return E.isLeft(state) ? state : E.right({ state: state.right, step: saved.step })
}

const identityOf = ({ method, steps, stepsPerEpoch, seed }: Start): string =>
  JSON.stringify([method, steps, stepsPerEpoch, seed])

const savedIn = ({ metadata }: TensorFile): { readonly step: number; readonly identity: string } | undefined => {
  const [step, identity] = [Number(metadata.get('step') ?? NaN), metadata.get('identity')]
  return Number.isSafeInteger(step) && identity !== undefined ? { step, identity } : undefined
}

const arrayOf = (tensor: Dense): Uint8Array | Uint32Array =>
  tensor.dtype === 'uint32' ? new Uint32Array(tensor.bytes.slice().buffer) : tensor.bytes.slice()

const save = async (session: Session, step: number): Promise<E.Either<Failure, Answered>> => {
  const tensors = new Map<string, Tensor>()
  for (const [name, array] of sparse.toArrays(session.state)) {
    const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
    tensors.set(name, dense(array instanceof Uint32Array ? 'uint32' : 'uint8', [array.length], bytes))
  }
  const metadata = new Map([
    ['step', `${step}`],
    ['identity', identityOf(session.start)],
  ])
  const path = join(session.folder, files.state)
  const written = await writeFileWhole(path, encodeSafetensors(tensors, metadata), { force: true })
  return E.isLeft(written) ? written : E.right({ session, answer: { answer: 'save', step } })
}

const advance = async (session: Session, step: number): Promise<E.Either<Failure, Answered>> => {
  const { state, policy, folder, binding } = session
  const due = sparse.needs(policy, step)
  if (due === 'nothing')
    return E.right({ session, answer: { answer: 'update', event: null, ...upcoming(session, step) } })
  const weights = await readLayers(folder, files.weights, binding)
  if (E.isLeft(weights)) return weights
  const gradients =
    due === 'weights and gradients' ? await readLayers(folder, files.gradients, binding) : E.right(undefined)
  if (E.isLeft(gradients)) return gradients
  const sample = gradients.right === undefined ? {} : { gradients: gradients.right }
  const updated = sparse.update(state, { weights: weights.right, ...sample }, step)
  if (E.isLeft(updated)) return updated
  const { event } = updated.right
  const next: Session = { ...session, state: updated.right.state }
  const masks = await writeMasks(next, next.state.masks, files.masks)
  if (E.isLeft(masks)) return masks
  const carry = await writeMasks(next, carriedBy(next.state, event), files.carry)
  if (E.isLeft(carry)) return carry
  const told = event === undefined ? null : describeEvent(event, binding)
  return E.right({ session: next, answer: { answer: 'update', event: told, ...upcoming(next, step) } })
}

/** The masks without the weights that an update lets start anew. */
const carriedBy = ({ masks }: sparse.State, event: sparse.Event | undefined): ReadonlyArray<Uint8Array> =>
  masks.map((mask, l) => {
    const out = mask.slice()
    for (const positions of [event?.layers[l]?.grown, event?.layers[l]?.restarted]) {
      for (const position of positions ?? []) out[position] = 0
    }
    return out
  })

/**
 * The next step after which to ask for an update, whether the optimiser leaves that step out, and what masked weights are multiplied by in every step up to that one; the
 * last of these numbers holds on where there are fewer.
 */
const upcoming = ({ policy, start }: Session, step: number): Readonly<Record<string, unknown>> => {
  let next = step + 1
  while (next <= start.steps && sparse.needs(policy, next) === 'nothing') next++
  const multipliers: number[] = []
  for (let done = step; done < next; done++) multipliers.push(sparse.maskedMultiplier(policy, done))
  while (multipliers.length > 1 && multipliers.at(-1) === multipliers.at(-2)) multipliers.pop()
  const gradients = sparse.needs(policy, next) === 'weights and gradients'
  const skips = sparse.skipsStep(policy, next)
  return { next: next > start.steps ? null : { step: next, gradients, skips }, multipliers }
}

/** Writes bits as booleans in the shapes of the other program; nobody reads half of a file. */
const writeMasks = async (
  { folder, binding }: Session,
  bits: ReadonlyArray<Uint8Array>,
  name: string,
): Promise<E.Either<Failure, undefined>> => {
  const named = toTensors(binding, bits)
  const tensors = binding.tensors.map(
    ({ name: tensor, shape }) => [tensor, dense('bool', shape, named.get(tensor) ?? new Uint8Array(0))] as const,
  )
  const path = join(folder, name)
  try {
    await writeFile(`${path}.new`, Buffer.concat(encodeSafetensors(new Map(tensors))))
    await rename(`${path}.new`, path)
    return E.right(undefined)
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
    const help = 'Check that the folder has space and can be written.'
    return E.left(failure('DriveError', path, 'a file that can be written', systemReason(thrown), help))
  }
}

const readTensors = async (folder: string, name: string): Promise<E.Either<Failure, TensorFile>> => {
  const path = join(folder, name)
  try {
    return decodeSafetensors(new Uint8Array(await readFile(path)))
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown
    return E.left(
      failure('DriveError', path, 'a safetensors file', systemReason(thrown), 'Write it before the request.'),
    )
  }
}

const readLayers = async (
  folder: string,
  name: string,
  binding: Binding,
): Promise<E.Either<Failure, ReadonlyArray<Float32Array>>> => {
  const file = await readTensors(folder, name)
  if (E.isLeft(file)) return file
  const arrays: Float32Array[] = []
  for (const { name: tensor, shape } of binding.tensors) {
    const found = file.right.tensors.get(tensor)
    if (found?.dtype !== 'float32' || found.shape.join() !== shape.join()) {
      const told = found === undefined ? 'none' : `${found.dtype}[${found.shape.join(',')}]`
      const help = 'Write every tensor that the answer to start names.'
      return E.left(failure('DriveError', `${name}: tensor ${tensor}`, `float32[${shape.join(',')}]`, told, help))
    }
    arrays.push(float32View(found))
  }
  return E.right(toLayers(binding, arrays))
}
