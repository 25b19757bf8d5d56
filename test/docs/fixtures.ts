/** Files that a reader of the documents brings along: models, masks, data, each small, under the names that documents use. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as tfl from '@tensorflow/tfjs-layers'
import { encode } from 'fast-png'
import type { Graph } from '../../src/ir/graph.ts'
import * as ops from '../../src/ir/ops/index.ts'
import { elements, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { axisMask, type Masks } from '../../src/masks/mask.ts'
import { buildGraph } from '../builder.ts'
import { writeMasks, writeModel } from '../cli/nets.ts'
import { normals, uniforms } from '../inflate.ts'
import { archive, dict, pickle, tensor } from '../masks/checkpoint/assemble.ts'
import { quiet, save, weightsFile } from '../read/tfjs/tensorflow-js.ts'
import { randomBytes } from '../train/data/make.ts'

const channels = 64
const blocks = [1, 2, 3, 4].flatMap((stage) => [0, 1].map((block) => ({ stage, block })))

/** The first convolution of each block, as PyTorch's exporter calls it and as a DataParallel model does. */
const firsts = blocks.map(({ stage, block }, i) => ({
  node: `/layer${stage}/layer${stage}.${block}/conv1/Conv`,
  parameter: `module.layer${stage}.${block}.conv1.weight`,
  weight: `onnx::Conv_${196 + 6 * i}`,
}))

/** ResNet-18's blocks and names as PyTorch exports them, all at 64 channels and 7 x 7 positions: 29 M multiply-accumulates. */
export const net = (): Graph => {
  const normal = normals(uniforms(3))
  const filled = (shape: ReadonlyArray<number>): Tensor => {
    const scale = 1 / Math.sqrt(sizeOf(shape.slice(1)))
    return tensorOf(
      'float32',
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => scale * normal()),
    )
  }
  const named = new Map<string, string>()
  const graph = buildGraph({ x: ['N', 3, 224, 224] }, (b) => {
    const conv = (x: string, weight: string, ins: number, kernel: number, stride: number): string => {
      const parameters = [
        b.constant(weight, filled([channels, ins, kernel, kernel])),
        b.constant(`${weight}.bias`, filled([channels])),
      ]
      const pads = Array.from({ length: 4 }, () => (stride === 1 ? (kernel - 1) / 2 : 0))
      return b.op(ops.Conv, [x, ...parameters], { pads, strides: [stride, stride] })
    }
    let x = b.op(ops.Relu, [conv('x', 'conv1.weight', 3, 7, 32)])
    for (const [i, { weight, node }] of firsts.entries()) {
      const first = conv(x, weight, channels, 3, 1)
      named.set(first, node)
      const second = conv(b.op(ops.Relu, [first]), `onnx::Conv_${199 + 6 * i}`, channels, 3, 1)
      x = b.op(ops.Relu, [b.op(ops.Add, [second, x])])
    }
    const pooled = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [x])])
    return [b.op(ops.Gemm, [pooled, b.constant('fc.weight', filled([2, channels]))], { transB: 1 })]
  })
  return { ...graph, nodes: graph.nodes.map((n) => ({ ...n, name: named.get(n.outputs[0] ?? '') ?? n.name })) }
}

const shape = [channels, channels, 3, 3]

/** Every second output channel of the first convolutions. */
const kept = Uint8Array.from({ length: channels }, (_, i) => i % 2)

const masks = (): Masks => new Map(firsts.map(({ weight }) => [weight, axisMask(shape, 0, kept)]))

/** Tensors of floats as `torch.save` writes them. */
const checkpoint = (tensors: Readonly<Record<string, Float32Array<ArrayBuffer>>>): Uint8Array => {
  const entries = Object.entries(tensors)
  const strides = [channels * 9, 9, 3, 1]
  const described = entries.map(([name, { length }], key) => [
    name,
    tensor({ key: `${key}`, count: length, shape, strides }),
  ])
  const memory = entries.map(([, { buffer }], key) => [`${key}`, new Uint8Array(buffer)])
  return archive(pickle(dict(Object.fromEntries(described))), Object.fromEntries(memory))
}

/** The package as another project finds it, and what documents import beside it. */
const installed = ['chasec', 'fp-ts', 'onnxruntime-web', '@types/node']

/** Fills `folder`; `root` is that of the checkout. */
export const writeFixtures = async (folder: string, root: string): Promise<void> => {
  const graph = net()
  const weights = new Map(graph.constants)
  const masked = Float32Array.from({ length: sizeOf(shape) }, (_, i) => kept[Math.floor(i / (channels * 9))] ?? 1)
  for (const { weight } of firsts) {
    const tensor = graph.constants.get(weight)
    if (tensor === undefined) throw new Error(`no weight ${weight}`)
    const values = elements(tensor)
    weights.set(
      weight,
      tensorOf(
        'float32',
        shape,
        masked.map((bit, i) => bit * Number(values[i] ?? 0)),
      ),
    )
  }
  for (const name of ['model.onnx', 'resnet50.onnx', 'dense.onnx']) writeModel(join(folder, name), graph)
  for (const name of ['masked.onnx', 'pruned.onnx']) writeModel(join(folder, name), { ...graph, constants: weights })
  writeMasks(join(folder, 'masks.safetensors'), masks())
  writeFileSync(
    join(folder, 'masks.pt'),
    checkpoint(Object.fromEntries(firsts.map(({ parameter }) => [parameter, masked]))),
  )
  for (const split of ['train', 'test']) {
    for (const [k, kind] of ['cat', 'dog'].entries()) {
      mkdirSync(join(folder, 'DIR', split, kind), { recursive: true })
      for (let i = 0; i < 8; i++) {
        const data = randomBytes(8 * 8 * 3, 10 * k + i)
        const png = encode({ width: 8, height: 8, data, channels: 3, depth: 8 })
        writeFileSync(join(folder, 'DIR', split, kind, `${i}.png`), png)
      }
    }
  }
  await quiet()
  const { json, weights: bytes } = await save(
    tfl.sequential({
      layers: [
        tfl.layers.conv2d({ filters: 16, kernelSize: 3, inputShape: [8, 8, 3], activation: 'relu' }),
        tfl.layers.conv2d({ filters: 16, kernelSize: 3, activation: 'relu' }),
        tfl.layers.flatten(),
        tfl.layers.dense({ units: 3 }),
      ],
    }),
  )
  mkdirSync(join(folder, 'web_model'))
  writeFileSync(join(folder, 'web_model', 'model.json'), JSON.stringify(json))
  writeFileSync(join(folder, 'web_model', weightsFile), bytes)
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }))
  for (const name of installed) {
    const link = join(folder, 'node_modules', name)
    mkdirSync(join(link, '..'), { recursive: true })
    symlinkSync(name === 'chasec' ? root : join(root, 'node_modules', name), link)
  }
}
