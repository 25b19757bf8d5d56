/** Random networks as a framework has them: modules with paths, and a state dict of their parameters. */
import { normals, uniforms } from '../../inflate.ts'

/** Seeded draws. */
export interface Dice {
  readonly below: (n: number) => number
  readonly between: (least: number, most: number) => number
  readonly chance: (p: number) => boolean
  readonly pick: <const T>(list: readonly [T, ...T[]]) => T
  readonly shuffled: <T>(list: ReadonlyArray<T>) => T[]
  readonly normal: () => number
}

export const diceOf = (seed: number): Dice => {
  const uniform = uniforms(Math.imul(seed, 0x9e3779b1) ^ 0x5bd1e995)
  for (let i = 0; i < 4; i++) uniform()
  const below = (n: number): number => Math.floor(uniform() * n)
  return {
    below,
    between: (least, most) => least + below(most - least + 1),
    chance: (p) => uniform() < p,
    pick: (list) => list[below(list.length)] ?? list[0],
    shuffled: (list) => {
      const out = [...list]
      for (let i = out.length - 1; i > 0; i--) {
        const j = below(i + 1)
        const [a, b] = [out[i], out[j]]
        if (a !== undefined && b !== undefined) [out[i], out[j]] = [b, a]
      }
      return out
    },
    normal: normals(uniform),
  }
}

export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((n, d) => n * d, 1)

/**
 * Where the elements of a tensor come from: element `i` is number `index[i]` of the network, all parameters of which are
 * numbered through. -1: no parameter's.
 */
export interface View {
  readonly shape: ReadonlyArray<number>
  readonly index: Int32Array
}

export const stridesOf = (shape: ReadonlyArray<number>): number[] => {
  const strides = new Array<number>(shape.length).fill(1)
  for (let a = shape.length - 2; a >= 0; a--) strides[a] = (strides[a + 1] ?? 1) * (shape[a + 1] ?? 1)
  return strides
}

/** Axis `a` of the result is axis `order[a]` of the view. */
export const permute = (view: View, order: ReadonlyArray<number>): View => {
  const shape = order.map((a) => view.shape[a] ?? 1)
  const [from, to] = [stridesOf(view.shape), stridesOf(shape)]
  const index = Int32Array.from({ length: view.index.length }, (_, i) => {
    let at = 0
    for (const [a, axis] of order.entries()) at += (Math.floor(i / (to[a] ?? 1)) % (shape[a] ?? 1)) * (from[axis] ?? 0)
    return view.index[at] ?? -1
  })
  return { shape, index }
}

export const reshape = (view: View, shape: ReadonlyArray<number>): View => ({ shape, index: view.index })

/** Rows `picked` of the first axis. */
export const rows = (view: View, picked: ReadonlyArray<number>): View => {
  const [, ...rest] = view.shape
  const width = sizeOf(rest)
  const index = new Int32Array(picked.length * width)
  for (const [i, row] of picked.entries()) index.set(view.index.subarray(row * width, (row + 1) * width), i * width)
  return { shape: [picked.length, ...rest], index }
}

/** One after the other along the first axis. */
export const stack = (views: ReadonlyArray<View>): View => {
  const [, ...rest] = views[0]?.shape ?? []
  const index = Int32Array.from(views.flatMap((view) => [...view.index]))
  return { shape: [index.length / Math.max(1, sizeOf(rest)), ...rest], index }
}

export const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

export type ParamKind = 'conv' | 'transpose' | 'linear' | 'conv1d' | 'table' | 'recurrent' | 'bias' | 'norm' | 'packed'

export interface Param {
  readonly path: ReadonlyArray<string>
  readonly leaf: string
  readonly kind: ParamKind
  readonly view: View
  /** Groups of a convolution. */
  readonly groups: number
  /** The parameter that this one is another name of, if its numbers are shared by tying. */
  readonly tiedTo: Param | undefined
}

export const tokensOf = ({ path, leaf }: Param): ReadonlyArray<string> => [...path, leaf]
export const nameOf = (param: Param): string => tokensOf(param).join('.')

export interface Norm {
  readonly path: ReadonlyArray<string>
  readonly weight: Param
  readonly bias: Param
}

interface WithWeight {
  readonly path: ReadonlyArray<string>
  readonly weight: Param
  readonly bias: Param | undefined
}

export type Module =
  | (WithWeight & { readonly kind: 'conv' | 'transpose'; readonly norm: Norm | undefined })
  | (WithWeight & { readonly kind: 'linear'; readonly calls: number })
  | (WithWeight & { readonly kind: 'conv1d' })
  /** A matrix that its owner multiplies by. */
  | (WithWeight & { readonly kind: 'matrix' })
  | (WithWeight & { readonly kind: 'embedding' })
  | {
      readonly kind: 'attention'
      readonly path: ReadonlyArray<string>
      readonly packed: Param
      readonly bias: Param | undefined
      readonly out: WithWeight
    }
  | {
      readonly kind: 'qkv'
      readonly path: ReadonlyArray<string>
      readonly parts: ReadonlyArray<WithWeight>
      readonly heads: number
    }
  | {
      readonly kind: 'recurrent'
      readonly path: ReadonlyArray<string>
      readonly op: 'LSTM' | 'GRU'
      readonly layers: ReadonlyArray<ReadonlyArray<Readonly<Record<'wi' | 'wh' | 'bi' | 'bh', Param>>>>
    }

export interface Network {
  readonly modules: ReadonlyArray<Module>
  readonly params: ReadonlyArray<Param>
  readonly values: Float64Array
  /** Whether some parameters hold the same numbers, or none that say anything. */
  readonly cloned: boolean
}

type Template = (path: ReadonlyArray<string>) => Module

const words = [
  'conv1',
  'conv2',
  'fc',
  'fc1',
  'fc2',
  'proj',
  'attn',
  'mlp',
  'ln_1',
  'dense',
  'down',
  'up',
  'query',
  'out',
]
const trunks = ['layers', 'blocks', 'features', 'encoder.layer', 'transformer.h', 'layer1', 'stages']

/** Draws a network. `vocabulary` is put before all names: another network's share no name with it. */
export const drawNetwork = (dice: Dice, vocabulary = '', without: ReadonlySet<string> = new Set()): Network => {
  const params: Param[] = []
  const values: number[] = []
  let cloned = false
  const squarish = dice.chance(0.4)
  const common = dice.pick([2, 3, 4, 4, 6, 8])
  const least = without.has('small') ? 4 : 1
  const width = (): number => Math.max(least, squarish || dice.chance(0.3) ? common : dice.between(1, 12))
  const enter = (
    path: ReadonlyArray<string>,
    leaf: string,
    kind: ParamKind,
    shape: ReadonlyArray<number>,
    groups = 1,
    fill: (i: number) => number = dice.normal,
  ): Param => {
    const base = values.length
    const size = sizeOf(shape)
    for (let i = 0; i < size; i++) values.push(Math.fround(fill(i)))
    const view = { shape, index: Int32Array.from({ length: size }, (_, i) => base + i) }
    const param = { path, leaf, kind, view, groups, tiedTo: undefined }
    params.push(param)
    return param
  }
  const filler = (): ((i: number) => number) | undefined => {
    if (!dice.chance(0.03) || without.has('clones')) return undefined
    cloned = true
    return dice.pick([() => 0, () => 1, () => 0.5, (i: number) => (i % 2 === 0 ? 0.25 : 0)])
  }
  const bias = (path: ReadonlyArray<string>, size: number, leaf = 'bias'): Param =>
    enter(path, leaf, 'bias', [size], 1, dice.chance(0.2) ? () => 0 : dice.normal)
  const templates: Array<() => Template> = [
    () => {
      const depth = dice.pick(['plain', 'plain', 'grouped', 'depthwise'])
      const groups = depth === 'plain' ? 1 : depth === 'grouped' ? 2 : width()
      const inside = depth === 'depthwise' ? 1 : width()
      const outputs = groups * (depth === 'plain' ? width() : dice.between(1, 3))
      const kernel = dice.pick([1, 1, 2, 3])
      const [normed, biased] = [dice.chance(0.5), dice.chance(0.5)]
      return (path) => {
        const normPath = [...path.slice(0, -1), `bn_${path.at(-1) ?? ''}`]
        return {
          kind: 'conv',
          path,
          weight: enter(path, 'weight', 'conv', [outputs, inside, kernel, kernel], groups, filler()),
          bias: biased ? bias(path, outputs) : undefined,
          norm: normed
            ? {
                path: normPath,
                weight: enter(normPath, 'weight', 'norm', [outputs], 1, () => 0.5 + Math.abs(dice.normal())),
                bias: enter(normPath, 'bias', 'norm', [outputs]),
              }
            : undefined,
        }
      }
    },
    () => {
      const groups = dice.pick([1, 1, 2])
      const [inputs, each] = [groups * width(), width()]
      const kernel = dice.pick([1, 2])
      return (path) => ({
        kind: 'transpose',
        path,
        weight: enter(path, 'weight', 'transpose', [inputs, each, kernel, kernel], groups, filler()),
        bias: undefined,
        norm: undefined,
      })
    },
    () => {
      const shape = [width(), width()]
      const [biased, calls] = [dice.chance(0.6), dice.chance(0.1) && !without.has('calls') ? 2 : 1]
      return (path) => ({
        kind: 'linear',
        path,
        weight: enter(path, 'weight', 'linear', shape, 1, filler()),
        bias: biased ? bias(path, shape[0] ?? 1) : undefined,
        calls,
      })
    },
    () => {
      const shape = [width(), width()]
      return (path) => ({
        kind: 'conv1d',
        path,
        weight: enter(path, 'weight', 'conv1d', shape),
        bias: bias(path, shape[1] ?? 1),
      })
    },
    () => {
      const shape = [width(), width()]
      return (path) => ({ kind: 'matrix', path, weight: enter(path, 'weight', 'conv1d', shape), bias: undefined })
    },
    () => {
      const e = Math.max(least, dice.pick([2, 4, 6]))
      const biased = dice.chance(0.7)
      return (path) => ({
        kind: 'attention',
        path,
        packed: enter(path, 'in_proj_weight', 'packed', [3 * e, e]),
        bias: biased ? bias(path, 3 * e, 'in_proj_bias') : undefined,
        out: {
          path: [...path, 'out_proj'],
          weight: enter([...path, 'out_proj'], 'weight', 'linear', [e, e]),
          bias: bias([...path, 'out_proj'], e),
        },
      })
    },
    () => {
      const heads = dice.pick([1, 2])
      const [e, inner] = [Math.max(least, dice.pick([2, 4, 6])), Math.max(least, dice.pick([2, 4, 6]))]
      return (path) => ({
        kind: 'qkv',
        path,
        heads,
        parts: ['q_proj', 'k_proj', 'v_proj'].map((name) => ({
          path: [...path, name],
          weight: enter([...path, name], 'weight', 'linear', [inner, e]),
          bias: undefined,
        })),
      })
    },
    () => {
      const op: 'LSTM' | 'GRU' = dice.pick(['LSTM', 'GRU'])
      const gates = op === 'LSTM' ? 4 : 3
      const h = dice.pick([2, 3, 4])
      const [layers, directions] = [dice.pick([1, 1, 2]), dice.pick([1, 1, 2])]
      const i = dice.chance(0.3) ? h * directions : dice.between(2, 5)
      return (path) => ({
        kind: 'recurrent',
        path,
        op,
        layers: range(0, layers).map((l) =>
          range(0, directions).map((d) => {
            const end = `_l${l}${d === 1 ? '_reverse' : ''}`
            const inputs = l === 0 ? i : h * directions
            return {
              wi: enter(path, `weight_ih${end}`, 'recurrent', [gates * h, inputs]),
              wh: enter(path, `weight_hh${end}`, 'recurrent', [gates * h, h]),
              bi: enter(path, `bias_ih${end}`, 'bias', [gates * h]),
              bh: enter(path, `bias_hh${end}`, 'bias', [gates * h]),
            }
          }),
        ),
      })
    },
  ]
  const template = (): Template => {
    const kinds = [0, 0, 0, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7]
    return (templates[kinds[dice.below(kinds.length)] ?? 0] ?? templates[0] ?? (() => () => never()))()
  }
  const root = vocabulary === '' ? [] : [vocabulary]
  const nested = dice.chance(0.35) ? [...root, dice.pick(['model', 'backbone', 'net', 'bert'])] : root
  const modules: Module[] = []
  if (dice.chance(0.3)) {
    const path = [...nested, dice.pick(['wte', 'embed', 'shared'])]
    const shape = [dice.between(2, 12), width()]
    const table = enter(path, 'weight', 'table', shape)
    modules.push({ kind: 'embedding', path, weight: table, bias: undefined })
    if (dice.chance(0.5) && !without.has('tied')) {
      const at = [...nested, dice.pick(['lm_head', 'decoder'])]
      const own = enter(at, 'weight', 'linear', shape, 1, (i) => values[table.view.index[i] ?? 0] ?? 0)
      const weight: Param = { ...own, tiedTo: table }
      params[params.indexOf(own)] = weight
      modules.push({ kind: 'linear', path: at, weight, bias: undefined, calls: 1 })
    }
  }
  const stems = dice.shuffled(['stem', 'conv0', 'pre', 'head', 'classifier']).slice(0, dice.between(0, 2))
  for (const stem of stems) modules.push(template()([...nested, stem]))
  const trunkCount = dice.between(1, 2)
  const names = dice.shuffled(trunks).slice(0, trunkCount)
  for (const trunk of names) {
    const inside = dice.shuffled(words).slice(0, dice.between(1, 3))
    const parts = inside.map((word) => ({ path: [...(dice.chance(0.2) ? [`sub`] : []), word], make: template() }))
    const copies = dice.between(1, 3)
    const equal = copies > 1 && dice.chance(0.12) && !without.has('clones')
    let first: Param[] | undefined
    for (let copy = 0; copy < copies; copy++) {
      const start = params.length
      for (const { path, make } of parts) modules.push(make([...nested, ...trunk.split('.'), String(copy), ...path]))
      const own = params.slice(start)
      if (equal && first !== undefined) {
        cloned = true
        for (const [i, param] of own.entries())
          for (const [k, to] of param.view.index.entries()) values[to] = values[first[i]?.view.index[k] ?? 0] ?? 0
      }
      first ??= own
    }
  }
  return { modules, params, values: Float64Array.from(values), cloned }
}

const never = (): never => {
  throw new Error('no template')
}
