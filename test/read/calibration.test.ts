/** Calibration sets: which arrays a model reads, in which runs, and what is wrong with a file. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { makeNode } from '../../src/ir/make-node.ts'
import { Add } from '../../src/ir/ops/index.ts'
import { elements, int64s, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { type Shape, sizeOf, tensorType } from '../../src/ir/type.ts'
import { readCalibration } from '../../src/read/calibration.ts'
import type { InputBatch } from '../../src/read/fit-inputs.ts'
import { npy, npyHeader, zip } from '../masks/files.ts'
import { graphOf } from '../masks/nets.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-calibration-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const arrayOf = (
  descr: string,
  shape: ReadonlyArray<number>,
  tensor: Tensor & { readonly bytes: Uint8Array },
): Uint8Array => npy(npyHeader(`'${descr}'`, `(${shape.map((d) => `${d},`).join('')})`), [...tensor.bytes])

/** 0, 1, 2, … */
const ramp = (shape: ReadonlyArray<number>, from = 0): ReadonlyArray<number> =>
  Array.from({ length: sizeOf(shape) }, (_, i) => from + i)

const float32 = (shape: ReadonlyArray<number>, from = 0): Uint8Array =>
  arrayOf('<f4', shape, tensorOf('float32', shape, ramp(shape, from)))

const float64 = (shape: ReadonlyArray<number>): Uint8Array =>
  arrayOf('<f8', shape, tensorOf('float64', shape, ramp(shape)))

const int64 = (shape: ReadonlyArray<number>, values = ramp(shape)): Uint8Array =>
  arrayOf('<i8', shape, int64s(values, shape))

const uint8 = (shape: ReadonlyArray<number>): Uint8Array => arrayOf('|u1', shape, tensorOf('uint8', shape, ramp(shape)))

/** Writes files below a folder of their own; gives its path. */
const filesOf = (name: string, files: Readonly<Record<string, Uint8Array>>): string => {
  for (const [file, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name, file)), { recursive: true })
    writeFileSync(join(folder, name, file), bytes)
  }
  return join(folder, name)
}

const archive = (arrays: Readonly<Record<string, Uint8Array>>): Uint8Array =>
  zip(Object.entries(arrays).map(([name, content]) => ({ name: `${name}.npy`, content })))

const modelOf = (shape: Shape): Graph => graphOf({ x: shape }, {}, [makeNode(Add, ['x', 'x'], ['y'])], ['y'])

/** Two inputs, of floats and of int32. */
const two: Graph = {
  ...graphOf({ x: ['N', 2], ids: ['N', 'L'] }, {}, [makeNode(Add, ['x', 'x'], ['y'])], ['y']),
}
const mixed = graphOf({ x: ['N', 2] }, {}, [makeNode(Add, ['x', 'x'], ['y'])], ['y'], {
  inputs: [
    { name: 'x', type: tensorType('float32', ['N', 2]) },
    { name: 'ids', type: tensorType('int32', ['N', 'L']) },
  ],
})

const read = async (path: string, graph: Graph, batch = 2): Promise<ReadonlyArray<InputBatch> | string> => {
  const out: InputBatch[] = []
  for await (const next of readCalibration(path, graph, batch)) {
    if (E.isLeft(next)) return renderError(next.left)
    out.push(next.right)
  }
  return out
}

/** By run the samples and the numbers of each input. */
const summary = async (path: string, graph: Graph, batch = 2): Promise<unknown> => {
  const runs = await read(path, graph, batch)
  if (typeof runs === 'string') return runs
  return runs.map(({ samples, feeds }) => [
    samples,
    ...Array.from(feeds, ([name, { dtype, shape, ...rest }]) => [
      name,
      dtype,
      shape,
      Array.from(elements({ dtype, shape, ...rest }), Number),
    ]),
  ])
}

const x2 = modelOf(['N', 2])

describe('runs', () => {
  it('take some samples of an array at a time', async () => {
    const path = join(filesOf('one', { 'a.npy': float32([3, 2]) }), 'a.npy')
    expect(await summary(path, x2)).toEqual([
      [2, ['x', 'float32', [2, 2], [0, 1, 2, 3]]],
      [1, ['x', 'float32', [1, 2], [4, 5]]],
    ])
  })

  it('take the files of a folder in the order of their names, a single sample without its first axis, and floats rounded', async () => {
    const path = filesOf('several', { 'b.npy': float32([2], 7), 'a.npy': float64([1, 2]), 'c.txt': uint8([1]) })
    expect(await summary(path, x2)).toEqual([
      [1, ['x', 'float32', [1, 2], [0, 1]]],
      [1, ['x', 'float32', [1, 2], [7, 8]]],
    ])
  })

  it('take archives by the names of inputs, and integers that fit', async () => {
    const path = filesOf('archives', { 'a.npz': archive({ ids: int64([3, 1]), x: float32([3, 2]) }) })
    expect(await summary(path, mixed)).toEqual([
      [2, ['x', 'float32', [2, 2], [0, 1, 2, 3]], ['ids', 'int32', [2, 1], [0, 1]]],
      [1, ['x', 'float32', [1, 2], [4, 5]], ['ids', 'int32', [1, 1], [2]]],
    ])
  })

  it('take a file for each input', async () => {
    const path = filesOf('inputs', { 'ids.npy': int64([1, 4]), 'x.npy': float32([1, 2]) })
    expect(await summary(path, mixed)).toEqual([
      [1, ['x', 'float32', [1, 2], [0, 1]], ['ids', 'int32', [1, 4], [0, 1, 2, 3]]],
    ])
  })

  it('are of the size that the model fixes', async () => {
    const path = filesOf('fixed', { 'a.npy': float32([6, 2]) })
    const runs = await read(path, modelOf([3, 2]), 1)
    expect(typeof runs === 'string' ? runs : runs.map(({ samples }) => samples)).toEqual([3, 3])
    expect(await read(path, modelOf([4, 2]))).toMatch(/expected float32\[4,2\], found float32\[6,2\]/)
  })

  it('are a whole file where its arrays have different first axes', async () => {
    const path = filesOf('whole', { 'a.npz': archive({ x: float32([3, 2]), ids: float32([1, 5]) }) })
    const runs = await read(path, two)
    expect(typeof runs === 'string' ? runs : runs.map(({ samples, from }) => [samples, from])).toEqual([
      [1, join(path, 'a.npz')],
    ])
  })
})

describe('an error names the file and what is wrong with it:', () => {
  const wide = modelOf(['N', 3, 'H', 4])
  it.each<[string, Readonly<Record<string, Uint8Array>>, Graph, RegExp]>([
    [
      'a shape',
      { 'a.npy': float32([2, 3, 9, 5]) },
      wide,
      /array x of .*a.npy: expected float32\[N,3,H,4\], found float32\[2,3,9,5\]/,
    ],
    ['a rank', { 'a.npy': float32([2, 3]) }, wide, /found float32\[2,3\]/],
    ['pixels as bytes', { 'a.npy': uint8([1, 3, 2, 4]) }, wide, /expected float32\[N,3,H,4\], found uint8\[1,3,2,4\]/],
    [
      'a name',
      { 'a.npz': archive({ y: float32([1, 2]) }) },
      x2,
      /array y of .*a.npz: expected an input of the model \(x\)/,
    ],
    [
      'a missing input',
      { 'a.npz': archive({ x: float32([1, 2]) }) },
      two,
      /a.npz: expected an array for each input \(x, ids\), found only x/,
    ],
    [
      'integers that do not fit',
      { 'a.npz': archive({ x: float32([1, 2]), ids: int64([1, 1], [2 ** 31]) }) },
      mixed,
      /array ids of .*found int64\[1,1\]/,
    ],
    ['no sample', { 'a.npy': float32([0, 2]) }, x2, /a.npy: expected at least one sample, found none/],
    ['a damaged file', { 'a.npy': float32([1, 2]).subarray(0, -1) }, x2, /a.npy: expected 8 bytes/],
    ['a damaged archive', { 'a.npz': archive({ x: float32([1, 2]) }).subarray(0, -1) }, x2, /a.npz/],
    [
      'both kinds',
      { 'a.npy': float32([1, 2]), 'b.npz': archive({}) },
      x2,
      /expected either .npy or .npz files, found both/,
    ],
    [
      'names of no input',
      { 'x.npy': float32([1, 2]), 'other.npy': float32([1, 2]) },
      two,
      /expected arrays of the inputs x, ids, found other.npy/,
    ],
    [
      'images',
      { 'cat.jpg': uint8([4]) },
      x2,
      /expected files of arrays \(.npy, .npz\), found images. Prepare the images/,
    ],
    ['other files', { 'a.txt': uint8([4]), 'b.txt': uint8([4]) }, x2, /found 2 other files. Save inputs/],
  ])('%s', async (name, files, graph, message) => {
    expect(await read(filesOf(`wrong ${name}`, files), graph)).toMatch(message)
  })

  it('no file', async () => {
    expect(await read(join(folder, 'none'), x2)).toMatch(/none: expected a file that can be read/)
  })

  it('a later file, after the runs before it', async () => {
    const path = filesOf('later', { 'a.npy': float32([1, 2]), 'b.npy': float32([1, 3]) })
    const found: string[] = []
    for await (const next of readCalibration(path, x2, 2)) found.push(E.isLeft(next) ? next.left.subject : 'run')
    expect(found).toEqual(['run', `array x of ${join(path, 'b.npy')}`])
  })
})
