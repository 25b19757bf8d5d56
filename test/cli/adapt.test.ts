/** From a model of TensorFlow.js to a network that is trained on other classes, by the command line. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chasec, json, type Ran } from './chasec.ts'

const folder = mkdtempSync(join(tmpdir(), 'chasec-adapt-'))
const at = (...names: ReadonlyArray<string>): string => join(folder, ...names)
const run = (...args: ReadonlyArray<string>): Ran => chasec(args, { cwd: folder })

/** A convolution of images with channels last, means, and a linear layer with softmax over two classes: a Keras model. */
const keras = () => {
  const layer = (name: string, kind: string, config: object, from?: string) => ({
    name,
    class_name: kind,
    config: { name, ...config },
    inbound_nodes: from === undefined ? [] : [[[from, 0, 0, {}]]],
  })
  const layers = [
    layer('images', 'InputLayer', { batch_input_shape: [null, 16, 16, 3], dtype: 'float32' }),
    layer(
      'pad',
      'ZeroPadding2D',
      {
        padding: [
          [0, 1],
          [0, 1],
        ],
        data_format: 'channels_last',
      },
      'images',
    ),
    layer(
      'conv',
      'Conv2D',
      { filters: 8, kernel_size: [3, 3], strides: [2, 2], padding: 'valid', activation: 'relu', use_bias: true },
      'pad',
    ),
    layer('means', 'GlobalAveragePooling2D', {}, 'conv'),
    layer('scores', 'Dense', { units: 2, activation: 'softmax', use_bias: true }, 'means'),
  ]
  const config = { name: 'm', layers, input_layers: [['images', 0, 0]], output_layers: [['scores', 0, 0]] }
  const weights = [
    { name: 'conv/kernel', shape: [3, 3, 3, 8], dtype: 'float32' },
    { name: 'conv/bias', shape: [8], dtype: 'float32' },
    { name: 'scores/kernel', shape: [8, 2], dtype: 'float32' },
    { name: 'scores/bias', shape: [2], dtype: 'float32' },
  ]
  return {
    format: 'layers-model',
    modelTopology: { model_config: { class_name: 'Model', config } },
    weightsManifest: [{ paths: ['weights.bin'], weights }],
  }
}

beforeAll(async () => {
  mkdirSync(at('web'))
  writeFileSync(at('web', 'model.json'), JSON.stringify(keras()))
  const values = Float32Array.from({ length: 216 + 8 + 16 + 2 }, (_, i) => 0.2 * Math.sin(i * i))
  writeFileSync(at('web', 'weights.bin'), new Uint8Array(values.buffer))
  for (const [c, name] of ['blue', 'green', 'red'].entries()) {
    mkdirSync(at('photos', name), { recursive: true })
    for (let i = 0; i < 12; i++) {
      const level = 120 + 10 * i
      const background = { r: c === 2 ? level : 20, g: c === 1 ? level : 20, b: c === 0 ? level : 20 }
      await sharp({ create: { width: 12, height: 12, channels: 3, background } })
        .png()
        .toFile(at('photos', name, `${i}.png`))
    }
  }
})

afterAll(() => rmSync(folder, { recursive: true }))

describe('adapt', () => {
  it('writes a network for other classes and images, which is pruned and trained further', () => {
    const made = run(
      'adapt',
      'web',
      '--classes',
      '3',
      '--images',
      '3x12x12',
      '--head',
      'pooled',
      '-o',
      'start.onnx',
      '--json',
    )
    expect(made.stderr).toBe('')
    expect(json(made)).toMatchObject({
      output: 'start.onnx',
      head: 'pooled',
      before: expect.stringMatching(/^before {2}images float32\[N,16,16,3\] -> scores float32\[N,2\]/),
      after: expect.stringMatching(/^after {3}images float32\[N,3,12,12\] -> scores float32\[N,3\]/),
      files: [{ name: 'start.onnx' }],
    })
    const pruned = run('prune', 'start.onnx', '--channels', '0.5', '--scope', 'all', '-o', 'masks.safetensors')
    expect(pruned.code).toBe(0)
    const options = ['--data', 'images:photos', '--image-size', '12', '--normalisation', 'signed', '--batch', '4']
    const recipe = ['--epochs', '30', '--learning-rate', '0.1', '--backend', 'wasm', '--validation-share', '0.2']
    const model = ['--model', 'start.onnx', '--masks', 'masks.safetensors']
    const trained = run('train', ...model, ...options, ...recipe, '-o', 'run', '--json')
    expect(trained.code).toBe(0)
    const lines = readFileSync(at('run', 'history.jsonl'), 'utf8').trimEnd().split('\n')
    const losses = lines.map((line) => JSON.parse(line)).flatMap(({ kind, loss }) => (kind === 'epoch' ? [loss] : []))
    expect(losses).toHaveLength(30)
    expect(losses.at(-1)).toBeLessThan(0.9 * losses[0])
    const { training } = JSON.parse(readFileSync(at('run', 'package', 'chasec.json'), 'utf8'))
    expect(training.networks.at(-1).macs).toBeLessThan(training.networks[0].macs)
    const settings = JSON.parse(readFileSync(at('run', 'run.json'), 'utf8'))
    expect(settings).toMatchObject({ normalisation: 'signed', imageSize: 12 })
    expect(run('train', '--resume', '--normalisation', 'unit', '-o', 'run').stderr).toMatch(/normalisation|--model/)
  })

  it('says what it would write, and refuses what makes no sense', () => {
    const dry = run('adapt', 'web', '--head', 'keep', '-o', 'dry.onnx', '--dry-run')
    expect(dry.stdout).toMatch(/Dry run: nothing was written. It would have been dry.onnx/)
    const wrong = (...args: ReadonlyArray<string>): string => {
      const { code, stderr } = run('adapt', 'web', '-o', 'wrong.onnx', ...args)
      expect(code).toBe(2)
      return stderr
    }
    expect(wrong()).toMatch('--classes: expected a number beside --head last, found nothing')
    expect(wrong('--classes', '3', '--images', '64')).toMatch('--images: expected channels, height and width, found 64')
    expect(wrong('--classes', '3', '--images', '1x8x8')).toMatch('float32 images of 1 channels')
    expect(wrong('--head', 'keep', '--classes', '9')).toMatch('logits [N, 9], found [N, 2]')
    expect(wrong('--head', 'first', '--classes', '9')).toMatch('--head')
    writeFileSync(at('there.onnx'), 'text')
    expect(run('adapt', 'web', '--head', 'keep', '-o', 'there.onnx').stderr).toMatch('there.onnx')
    expect(readFileSync(at('there.onnx'), 'utf8')).toBe('text')
  })
})
