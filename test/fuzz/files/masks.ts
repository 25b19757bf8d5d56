/** Files of masks: every format, fixtures changed byte by byte and made-up headers; matched with a small network. */
import { readdirSync, readFileSync } from 'node:fs'
import { deflateSync } from 'fflate'
import * as E from 'fp-ts/lib/Either.js'
import * as ops from '../../../src/ir/ops/index.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { decodeFile, encodeMasks } from '../../../src/masks/files.ts'
import { elementMask } from '../../../src/masks/mask.ts'
import { matchMasks } from '../../../src/masks/match/index.ts'
import { encodePackedMasks } from '../../../src/masks/packed/pack.ts'
import { looksLikeZip, readZip } from '../../../src/masks/zip.ts'
import { contentOf } from '../../../src/masks/zip-content.ts'
import { decodeMaskMap } from '../../../src/read/masks.ts'
import { buildGraph, convNormRelu } from '../../builder.ts'
import { npy, npyHeader, safetensors, utf8, zip, type ZipFile } from '../../masks/files.ts'
import { type Draw, edgeInteger, edgeName, mutate, mutateText } from './draw.ts'
import { type FileKind, refused, verdictOf } from './kind.ts'

/** Masks are for this network. */
const graph: Graph = buildGraph({ x: ['N', 3, 8, 8] }, (b) => {
  const hidden = convNormRelu(b, 'a', 'x', [16, 3, 3])
  const second = b.op(ops.Conv, [hidden, b.weight('b.weight', [4, 16, 3, 3])], { pads: [1, 1, 1, 1] })
  const flat = b.op(ops.GlobalAveragePool, [second])
  return [b.op(ops.Gemm, [b.op(ops.Flatten, [flat]), b.weight('fc.weight', [5, 4])], { transB: 1 })]
})

const shapes: ReadonlyArray<readonly [string, ReadonlyArray<number>]> = [
  ['a.weight', [16, 3, 3, 3]],
  ['b.weight', [4, 16, 3, 3]],
  ['fc.weight', [5, 4]],
]

const fixtures = ['../../masks/fixtures/', '../../masks/packed/', '../../masks/checkpoint/fixtures/'].flatMap(
  (folder) => {
    const url = new URL(folder, import.meta.url)
    return readdirSync(url)
      .filter((name) => !/\.(py|json)$/.test(name))
      .map((name) => new Uint8Array(readFileSync(new URL(name, url))))
      .filter((bytes) => bytes.length < 100_000)
  },
)

const own = Buffer.concat(
  encodeMasks(
    new Map(
      shapes.map(([name, shape]) => [
        name,
        elementMask(
          shape,
          new Uint8Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => (i % 3 === 0 ? 0 : 1)),
        ),
      ]),
    ),
  ),
)

/** Masks of the network, regular and sparse, so that each has another layout. */
const packed = Buffer.concat(
  encodePackedMasks(
    new Map(
      shapes.map(([name, shape], at) => {
        const kept = (i: number): boolean =>
          at === 0 ? Math.floor(i / 108) % 2 === 0 : at === 1 ? i % 16 === 3 : i % 5 < 3
        const bits = new Uint8Array(shape.reduce((a, b) => a * b, 1)).map((_, i) => (kept(i) ? 1 : 0))
        return [name, elementMask(shape, bits)]
      }),
    ),
  ),
)

const parts = [
  'bitmask',
  'diagonals',
  'crow_indices',
  'col_indices',
  'blocksize',
  'fan_in_indices',
  'active_neuron_idx',
  'group',
  'group_indices',
  'compressed',
]

/** Packed masks whose shapes and indices are at their edges. */
const madePacked = (draw: Draw): Uint8Array => {
  const header: Record<string, unknown> = draw.chance(0.5) ? { __metadata__: { 'chasec.masks': 'packed' } } : {}
  const data: number[] = []
  const put = (name: string, values: ReadonlyArray<bigint>, shape: ReadonlyArray<number>): void => {
    const bytes = new Uint8Array(BigInt64Array.from(values).buffer)
    header[name] = { dtype: 'I64', shape, data_offsets: [data.length, data.length + bytes.length] }
    data.push(...bytes)
  }
  for (const [name, shape] of shapes) {
    const owner = draw.chance(0.5) ? name : name.replace('.weight', '')
    const sizes = shape.map((d) => (draw.chance(0.2) ? edgeInteger(draw) : BigInt(d)))
    put(`${owner}.shape`, sizes, [sizes.length])
    for (const part of parts) {
      if (draw.chance(0.75)) continue
      const values = Array.from({ length: draw.below(9) }, (_, i) => (draw.chance(0.8) ? BigInt(i) : edgeInteger(draw)))
      put(`${owner}.${part}`, values, draw.chance(0.6) ? [values.length] : [1, values.length])
    }
  }
  return safetensors(header, data)
}

/** A header as safetensors has it, sizes and offsets at their edges. */
const madeSafetensors = (draw: Draw): Uint8Array => {
  const header: Record<string, unknown> = {}
  let at = 0
  for (let count = draw.below(6); count >= 0; count--) {
    const [name, shape] = draw.one(shapes) ?? ['x', [1]]
    const sizes = draw.chance(0.3) ? shape.map((d) => (draw.chance(0.4) ? Number(edgeInteger(draw)) : d)) : shape
    const length = shape.reduce((a, b) => a * b, 1)
    const dtype = draw.pick(['BOOL', 'U8', 'F32', 'F16', 'I64', 'F8_E4M3', 'BF16', 'C64', 'nonsense', 'F4'])
    header[draw.chance(0.7) ? name : edgeName(draw)] = draw.chance(0.9)
      ? { dtype, shape: sizes, data_offsets: [at, at + (draw.chance(0.9) ? length : Number(edgeInteger(draw)))] }
      : draw.pick<unknown>([null, 1, [], {}, { dtype }, { shape: {} }])
    at += length
  }
  if (draw.chance(0.3)) header['__metadata__'] = draw.pick<unknown>([{ format: 'pt' }, { a: 1 }, null, 'x'])
  return safetensors(
    header,
    Array.from({ length: at }, () => draw.below(2)),
  )
}

const madeNpy = (draw: Draw): Uint8Array => {
  const descr = draw.pick([
    "'|b1'",
    "'<f4'",
    "'>f4'",
    "'<f2'",
    "'|O'",
    "'<U5'",
    "'<c8'",
    "'<i8'",
    "[('a','<f4')]",
    "''",
  ])
  const sizes = Array.from({ length: draw.below(5) }, () =>
    String(draw.chance(0.8) ? draw.below(8) : edgeInteger(draw)),
  )
  const shape = `(${sizes.join(', ')}${draw.chance(0.8) ? ',' : ''})`
  const data = Array.from({ length: draw.below(600) }, () => draw.below(2))
  const header = npyHeader(descr, shape, draw.pick(['False', 'True', '0']))
  return npy(draw.chance(0.8) ? header : mutateText(header, draw, ['(', '{', "'", ',', '9'.repeat(20)]), data)
}

const madeZip = (draw: Draw): Uint8Array => {
  const files = Array.from({ length: draw.below(5) }, (): ZipFile => {
    const bomb = draw.chance(0.05)
    const content = bomb ? deflateSync(new Uint8Array(1 << 22)) : madeNpy(draw)
    return {
      name: draw.chance(0.8) ? `${draw.one(shapes)?.[0] ?? ''}.npy` : edgeName(draw).slice(0, 100),
      content,
      ...(draw.chance(0.3) ? { deflated: true } : {}),
      ...(draw.chance(0.1) ? { size: Number(edgeInteger(draw) & 0xffff_ffffn) } : {}),
      ...(draw.chance(0.1) ? { method: draw.pick([0, 8, 9, 12, 255]) } : {}),
      ...(draw.chance(0.05) ? { offset: draw.below(1000) } : {}),
      ...(draw.chance(0.05) ? { flags: draw.below(65_536) } : {}),
    }
  })
  const bytes = zip(files, draw.chance(0.1) ? { count: draw.below(70_000) } : {})
  return draw.chance(0.5) ? bytes : mutate(bytes, draw)
}

/** An archive whose files are changed one by one, its checksums mended. */
const remadeZip = (bytes: Uint8Array, draw: Draw): Uint8Array => {
  const entries = looksLikeZip(bytes) ? readZip(bytes) : E.right([])
  if (E.isLeft(entries) || entries.right.length === 0) return mutate(bytes, draw)
  const files = entries.right.flatMap((entry) => {
    const read = contentOf(entry)
    return E.isLeft(read) ? [] : [{ name: entry.name, content: read.right }]
  })
  const pickle = files.findIndex(({ name }) => name.endsWith('data.pkl'))
  const chosen = pickle < 0 || draw.chance(0.25) ? draw.below(files.length) : pickle
  return zip(files.map(({ name, content }, i) => ({ name, content: i === chosen ? mutate(content, draw) : content })))
}

const decode = (bytes: Uint8Array, draw: Draw): ReturnType<FileKind['judge']> => {
  const file = decodeFile(bytes)
  if (E.isLeft(file)) return refused(file.left)
  for (const { decode: read, size } of file.right.entries) if (size < 2 ** 26) verdictOf(read())
  const others = draw.chance(0.1) ? decodeFile(own) : undefined
  const weights = others === undefined || E.isLeft(others) ? {} : { weights: others.right.entries }
  return verdictOf(matchMasks(file.right.entries, graph, weights))
}

/** safetensors, numpy's formats and PyTorch's checkpoints. */
export const maskFiles: FileKind = {
  share: 20,
  make: (draw) => {
    switch (draw.below(8)) {
      case 0:
        return madeSafetensors(draw)
      case 1:
        return madeZip(draw)
      case 2:
        return draw.chance(0.5) ? mutate(own, draw) : madeNpy(draw)
      case 6:
        return madePacked(draw)
      case 7:
        return mutate(packed, draw)
      case 3:
        return remadeZip(draw.one(fixtures) ?? own, draw)
      default:
        return mutate(draw.one(fixtures) ?? own, draw, draw.one(fixtures))
    }
  },
  judge: decode,
}

/** PyTorch's checkpoints alone. */
export const torchFiles: FileKind = {
  share: 13,
  make: (draw) => {
    const bytes = draw.one(fixtures) ?? own
    return draw.chance(0.7) ? remadeZip(bytes, draw) : mutate(bytes, draw, draw.one(fixtures))
  },
  judge: decode,
}

const maps = [
  'a.weight: a.weight\nb: { weight: b.weight, transpose: true }\nc: null\n',
  'x: { weight: fc.weight, transpose: [1, 0], at: 3 }\n',
  JSON.stringify({ 'layer.0.weight': { weight: 'a.weight', at: 0 }, y: null }),
] as const

/** Files that say where masks belong. */
export const mapFiles: FileKind = {
  share: 5,
  make: (draw) => {
    const pieces = [
      '*a',
      '&a ',
      '!!str ',
      '[',
      '{',
      '? ',
      '- ',
      '|\n ',
      '"',
      '%YAML 1.1\n---\n',
      '<<: ',
      ': ',
      '\t',
      '#',
    ] as const
    const text = mutateText(draw.pick(maps), draw, pieces)
    return utf8(draw.chance(0.1) ? draw.pick(pieces).repeat(draw.below(3000)) : text)
  },
  judge: (bytes) => {
    const map = decodeMaskMap('map.yaml', bytes)
    if (E.isLeft(map)) return refused(map.left)
    const file = decodeFile(own)
    return E.isLeft(file) ? refused(file.left) : verdictOf(matchMasks(file.right.entries, graph, { map: map.right }))
  },
}
