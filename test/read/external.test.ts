import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { create } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Graph } from '../../src/ir/graph.ts'
import { elements, type Tensor } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { lower } from '../../src/export/lower.ts'
import { elementMask } from '../../src/masks/mask.ts'
import { compile } from '../../src/passes/compile.ts'
import {
  AttributeProto_AttributeType as Type,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../../src/onnx/onnx_pb.ts'
import type { ReadError } from '../../src/read/error.ts'
import { readModel } from '../../src/read/file.ts'
import { FLOAT, info, modelBytes, node, parse, readFailure, subgraph, type TensorInit } from './make.ts'

type Entries = Readonly<Record<string, string>> | ReadonlyArray<readonly [string, string]>

const values = Float32Array.of(1, 2, 3, 4)
const payload = new Uint8Array(values.buffer)

/** A model that adds a weight of four elements, kept as `entries` say. */
const model = (entries: Entries, dims: ReadonlyArray<bigint> = [4n], dataType = FLOAT): Uint8Array => {
  const pairs = Array.isArray(entries) ? entries : Object.entries(entries)
  const externalData = pairs.map(([key, value]) => ({ key, value }))
  const weight = { name: 'w', dims: [...dims], dataType, externalData, dataLocation: TensorProto_DataLocation.EXTERNAL }
  return modelBytes({
    input: [info('x', [4])],
    output: [info('y', [4])],
    initializer: [weight],
    node: [node('Add', ['x', 'w'], ['y'])],
  })
}

const root = mkdtempSync(join(tmpdir(), 'chasec-external-'))
const folder = join(root, 'model')
const path = (name: string): string => join(folder, name)

beforeAll(() => {
  mkdirSync(join(folder, 'inner'), { recursive: true })
  mkdirSync(join(root, 'model-twin'))
  writeFileSync(join(root, 'secret'), payload)
  writeFileSync(join(root, 'model-twin', 'w.bin'), payload)
  writeFileSync(path('w.bin'), payload)
  writeFileSync(path('inner/w.bin'), payload)
  writeFileSync(path('padded.bin'), new Uint8Array([...new Uint8Array(8), ...payload]))
  writeFileSync(path('...'), payload)
  writeFileSync(path('empty.bin'), '')
  symlinkSync('w.bin', path('link-inside'))
  symlinkSync('../secret', path('link-outside'))
  symlinkSync(join(root, 'secret'), path('link-absolute'))
  symlinkSync('..', path('up'))
  symlinkSync('link-outside', path('link-to-link'))
  symlinkSync('loop', path('loop'))
  symlinkSync('/dev/zero', path('zero'))
  symlinkSync('gone', path('dangling'))
  linkSync(path('w.bin'), path('hard-link'))
  execFileSync('mkfifo', [path('fifo')])
})

afterAll(() => rmSync(root, { recursive: true, force: true }))

const readAt = async (
  entries: Entries,
  dims?: ReadonlyArray<bigint>,
  dataType?: number,
): Promise<E.Either<ReadError, Graph>> => {
  writeFileSync(path('model.onnx'), model(entries, dims, dataType))
  return readModel(path('model.onnx'))()
}

const weightOf = (graph: E.Either<ReadError, Graph>): Tensor => {
  if (E.isLeft(graph)) throw new Error(`${graph.left.subject}: ${graph.left.found}`)
  const tensor = graph.right.constants.get('w')
  if (tensor === undefined) throw new Error('no constant w')
  return tensor
}

describe('external data', () => {
  it.each<[string, Entries]>([
    ['a whole file', { location: 'w.bin' }],
    ['a range', { location: 'padded.bin', offset: '8', length: '16' }],
    ['to the end', { location: 'padded.bin', offset: '8' }],
    ['a folder below', { location: 'inner/w.bin' }],
    ['a roundabout path', { location: './inner/.//w.bin' }],
    ['a name of dots', { location: '...' }],
    ['a link inside', { location: 'link-inside' }],
    ['a hard link', { location: 'hard-link' }],
    ['all keys', { location: 'w.bin', offset: '0', length: '16', checksum: '00', basepath: '' }],
  ])('is read from %s, lazily', async (_, entries) => {
    const weight = weightOf(await readAt(entries))
    expect(weight.tag).toBe('External')
    expect([...elements(weight)]).toEqual([1, 2, 3, 4])
  })

  it('is read beside the file that the model is a link to', async () => {
    // As the Hugging Face cache lays out models: names that link to blobs in another folder.
    for (const name of ['blobs', 'snapshot']) mkdirSync(join(root, name), { recursive: true })
    writeFileSync(join(root, 'blobs', 'a1'), model({ location: 'model.onnx_data' }))
    writeFileSync(join(root, 'blobs', 'b2'), payload)
    symlinkSync('../blobs/a1', join(root, 'snapshot', 'model.onnx'))
    symlinkSync('../blobs/b2', join(root, 'snapshot', 'model.onnx_data'))
    expect([...elements(weightOf(await readModel(join(root, 'snapshot', 'model.onnx'))()))]).toEqual([1, 2, 3, 4])
    symlinkSync('../secret', join(root, 'snapshot', 'other'))
    writeFileSync(join(root, 'blobs', 'a1'), model({ location: 'other' }))
    expect(await readModel(join(root, 'snapshot', 'model.onnx'))()).toMatchObject({
      left: { code: 'external-data-invalid' },
    })
  })

  const locations: ReadonlyArray<readonly [string, string]> = [
    ['empty', ''],
    ['the folder itself', '.'],
    ['the folder itself, slashed', './'],
    ['slashes', '//'],
    ['the parent', '..'],
    ['a file of the parent', '../secret'],
    ['the parent through a folder', 'inner/../../secret'],
    ['the parent through a folder that does not exist', 'x/../../secret'],
    ['back into the folder', '../model/w.bin'],
    ['a folder whose name starts alike', '../model-twin/w.bin'],
    ['up and down inside', 'inner/../w.bin'],
    ['trailing parent', 'inner/..'],
    ['absolute', '/etc/passwd'],
    ['absolute into the folder', join(folder, 'w.bin')],
    ['doubly absolute', '//etc/passwd'],
    ['a drive', 'C:/secret'],
    ['a drive without slash', 'c:secret'],
    ['a network path', '\\\\host\\share'],
    ['backslashes', '..\\secret'],
    ['a backslash inside', 'inner\\w.bin'],
    ['NUL', 'w.bin\0'],
    ['NUL before a suffix', '../secret\0.bin'],
    ['a link out', 'link-outside'],
    ['an absolute link out', 'link-absolute'],
    ['a link to a link out', 'link-to-link'],
    ['a folder that links out', 'up/secret'],
    ['a link that loops', 'loop'],
    ['a device', 'zero'],
    ['a FIFO', 'fifo'],
    ['a folder', 'inner'],
    ['a file used as a folder', 'w.bin/x'],
    ['a long name', 'a'.repeat(300)],
  ]

  it.each(locations)('is refused at a location that is %s', async (_, location) => {
    const read = await readAt({ location })
    expect(read).toMatchObject({ left: { _tag: 'ReadError', code: 'external-data-invalid' } })
  })

  it.each([
    ['not there', 'gone.bin'],
    ['a dangling link', 'dangling'],
    ['a URL', 'https:w.bin'],
    ['very long', 'a/'.repeat(3000) + 'w'],
    ['percent signs', '%2e%2e/secret'],
    ['full-width dots', '\uff0e\uff0e/secret'],
    ['a memory address of ONNX Runtime', '*_ORT_MEM_ADDR_*'],
  ])('is missing at a location that is %s', async (_, location) => {
    expect(await readAt({ location })).toMatchObject({ left: { code: 'external-data-file-missing' } })
  })

  it.each<[string, Entries]>([
    ['a negative offset', { location: 'w.bin', offset: '-4' }],
    ['a signed offset', { location: 'w.bin', offset: '+4' }],
    ['a fractional offset', { location: 'w.bin', offset: '1.5' }],
    ['an exponent', { location: 'w.bin', offset: '1e2' }],
    ['a hexadecimal offset', { location: 'w.bin', offset: '0x10' }],
    ['an empty offset', { location: 'w.bin', offset: '' }],
    ['spaces', { location: 'w.bin', offset: ' 0' }],
    ['an offset beyond 2^53', { location: 'w.bin', offset: '9007199254740993' }],
    ['an offset beyond 2^64', { location: 'w.bin', offset: '18446744073709551616' }],
    ['an offset past the end', { location: 'w.bin', offset: '17' }],
    ['a range past the end', { location: 'w.bin', offset: '4', length: '16' }],
    ['an offset at the end', { location: 'w.bin', offset: '16' }],
    ['an empty file', { location: 'empty.bin' }],
    ['an unknown key', { location: 'w.bin', __class__: 'x' }],
    [
      'a prototype key',
      [
        ['location', 'w.bin'],
        ['__proto__', 'x'],
      ],
    ],
    [
      'a key twice',
      [
        ['location', 'w.bin'],
        ['location', 'inner/w.bin'],
      ],
    ],
    ['no location', { offset: '0' }],
  ])('is refused with %s', async (_, entries) => {
    expect(await readAt(entries)).toMatchObject({ left: { code: 'external-data-invalid' } })
  })

  it.each<[string, Entries, ReadonlyArray<bigint>]>([
    ['a length that is too short', { location: 'w.bin', length: '12' }, [4n]],
    ['a length that is too long', { location: 'w.bin', length: '20' }, [4n]],
    ['a negative length', { location: 'w.bin', length: '-1' }, [4n]],
    ['a shape that overflows', { location: 'w.bin' }, [2n ** 62n, 4n]],
    ['a shape of more bytes than the file', { location: 'w.bin' }, [2n ** 40n]],
  ])('is refused with %s, before anything is read', async (_, entries, dims) => {
    expect(await readAt(entries, dims)).toMatchObject({
      left: { _tag: 'ReadError', subject: expect.stringContaining('initializer w') },
    })
  })

  it('is refused for strings and where no files can be reached', async () => {
    expect(await readAt({ location: 'w.bin' }, [1n], 8)).toMatchObject({ left: { code: 'tensor-data-invalid' } })
    expect(readFailure(model({ location: 'w.bin' }))).toMatchObject({
      code: 'external-data-file-missing',
      subject: 'initializer w, file w.bin',
    })
    expect(readFailure(model({ location: '../w.bin' }), { external: () => undefined }).code).toBe(
      'external-data-invalid',
    )
  })

  it('moves into the model where only bytes are kept: subgraphs, attributes, functions', async () => {
    const outside = {
      name: 'k',
      dims: [4n],
      dataType: FLOAT,
      externalData: [{ key: 'location', value: 'w.bin' }],
      dataLocation: TensorProto_DataLocation.EXTERNAL,
    }
    const body = { name: 'b', initializer: [outside], node: [node('Zorch', ['k'], ['o'])], output: [info('o')] }
    const constant = node('Zorch', [], ['z'], { attribute: [{ name: 'value', type: Type.TENSOR, t: outside }] })
    const bytes = modelBytes(
      {
        input: [info('x')],
        output: [info('y')],
        sparseInitializer: [{ values: outside, indices: { ...outside, dataType: 6, name: 'i' }, dims: [9n] }],
        node: [constant, node('If', ['x'], ['y'], { attribute: [subgraph('then_branch', body)] })],
      },
      { functions: [{ name: 'F', domain: 'd', node: [constant] }], trainingInfo: [{ algorithm: body }] },
    )
    writeFileSync(path('model.onnx'), bytes)
    const read = await readModel(path('model.onnx'))()
    if (E.isLeft(read)) throw new Error(read.left.found)
    const lowered = lower(read.right)
    if (E.isLeft(lowered)) throw new Error(lowered.left.found)
    expect(Buffer.from(lowered.right.model).includes('w.bin')).toBe(false)
    const inside: TensorInit = { name: 'k', dims: [4n], dataType: FLOAT, rawData: payload }
    const { graph, functions, trainingInfo } = parse(lowered.right.model)
    const tensors = [
      graph?.node.find(({ opType }) => opType === 'Zorch')?.attribute[0]?.t,
      graph?.node.find(({ opType }) => opType === 'If')?.attribute[0]?.g?.initializer[0],
      graph?.sparseInitializer[0]?.values,
      functions[0]?.node[0]?.attribute[0]?.t,
      trainingInfo[0]?.algorithm?.initializer[0],
    ]
    for (const tensor of tensors) expect(tensor).toEqual(create(TensorProtoSchema, inside))
    expect(readFailure(bytes)).toMatchObject({ code: 'external-data-file-missing' })
  })

  it('notices that the file changed between reading the model and reading the bytes', async () => {
    writeFileSync(path('changing.bin'), payload)
    const read = await readAt({ location: 'changing.bin' })
    const weight = weightOf(read)
    utimesSync(path('changing.bin'), 1, 1)
    expect(() => elements(weight)).toThrow('has changed')
    if (E.isRight(read))
      expect(lower(read.right)).toMatchObject({
        left: { _tag: 'WriteError', found: expect.stringContaining('has changed') },
      })
    if (E.isRight(read)) {
      const changed = { _tag: 'ReadError', found: expect.stringContaining('has changed') }
      const masks = new Map([['w', elementMask(weight.shape, new Uint8Array(sizeOf(weight.shape)))]])
      expect(compile(read.right, masks)).toMatchObject({ left: changed })
    }
    rmSync(path('changing.bin'))
    expect(() => elements(weight)).toThrow('ENOENT')
  })

  it.each([
    ['nothing', 'gone.onnx'],
    ['a FIFO', 'fifo'],
    ['a path with NUL', 'a\0b'],
  ])('a model path that is %s is an error that names it', async (_, name) => {
    expect(await readModel(path(name))()).toMatchObject({ left: { code: 'file-unreadable', subject: path(name) } })
  })
})
