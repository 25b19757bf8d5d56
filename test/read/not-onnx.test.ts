import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import { afterAll, describe, expect, it } from 'vitest'
import { readModel } from '../../src/read/file.ts'
import { readModelBytes } from '../../src/read/model.ts'
import { concat, npy, npyHeader, safetensors, utf8, zip } from '../masks/files.ts'
import { exporterModels, floats, info, modelBytes, node } from './make.ts'

const fixture = (name: string): Uint8Array =>
  new Uint8Array(readFileSync(new URL(`../masks/checkpoint/fixtures/${name}`, import.meta.url)))

const empty = new Uint8Array()
const hdf5 = concat(Uint8Array.of(0x89), utf8('HDF\r\n\x1a\n'), new Uint8Array(40))
const array = npy(npyHeader("'|b1'", '(1,)'), [1])
const file = (name: string): { readonly name: string; readonly content: Uint8Array } => ({ name, content: empty })
const message = (field: number, content: Uint8Array): Uint8Array =>
  concat(Uint8Array.of(field * 8 + 2, content.length), content)
const savedModel = concat(Uint8Array.of(8, 1), message(2, message(1, utf8('\x22\x05serve*\x0a2.15.0 tensorflow'))))
const graphDef = message(1, concat(message(1, utf8('input')), message(2, utf8('Placeholder'))))

const kinds: ReadonlyArray<readonly [string, Uint8Array, RegExp]> = [
  ['a checkpoint', fixture('run.pt'), /a PyTorch checkpoint\. Export the module with torch\.onnx\.export/],
  ['a legacy checkpoint', fixture('run-legacy.pt'), /a PyTorch checkpoint/],
  ['TorchScript', fixture('script.pt'), /a TorchScript model/],
  ['torch.export', zip([file('model/archive_format'), file('model/models/model.json')]), /torch\.export wrote/],
  ['a pickle', fixture('numpy-4.pkl'), /a Python pickle/],
  ['HDF5', hdf5, /an HDF5 file.*tf2onnx\.convert --keras/],
  ['Keras', zip([file('metadata.json'), file('config.json'), file('model.weights.h5')]), /a Keras model.*--keras/],
  ['TFLite', concat(Uint8Array.of(28, 0, 0, 0), utf8('TFL3'), new Uint8Array(20)), /TensorFlow Lite.*--tflite/],
  ['ORT', concat(Uint8Array.of(28, 0, 0, 0), utf8('ORTM'), new Uint8Array(20)), /format of ONNX Runtime/],
  ['a SavedModel', savedModel, /a TensorFlow graph.*--saved-model/],
  ['a frozen graph', graphDef, /a TensorFlow graph/],
  ['safetensors', safetensors({}), /a safetensors file.*weights only.*--weights/],
  ['an index of shards', utf8('{"metadata": {}, "weight_map": {}}'), /index of a sharded checkpoint/],
  ['npy', array, /a numpy array/],
  ['npz', zip([{ name: 'a.npy', content: array }]), /an archive of numpy arrays/],
  ['another zip', zip([file('model.onnx')]), /a zip archive.*Unpack it/],
  ['a zip cut off', fixture('run.pt').subarray(0, 999), /a damaged zip archive/],
  ['gzip', new Uint8Array(gzipSync('x')), /a compressed file/],
  ['tar', concat(new Uint8Array(257).fill(1), utf8('ustar\x0000'), new Uint8Array(248)), /a tar archive/],
  ['GGUF', concat(utf8('GGUF'), new Uint8Array(20)), /a GGUF file/],
  [
    'a pointer of Git LFS',
    utf8('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'),
    /a pointer of Git LFS.*git lfs pull/,
  ],
  ['HTML', utf8('\n<!DOCTYPE html>\n<html><body>Not found</body></html>'), /an HTML page\. The download failed/],
  [
    'ONNX text',
    utf8('<\n  ir_version: 8, opset_import: ["" : 17]\n>\nm (float x) => (float y) { }'),
    /textual form.*parse_model/,
  ],
  ['JSON', utf8('{"ir_version": 8}'), /a JSON file/],
  ['text', utf8('MODEL: résumé'), /a text/],
  ['nothing', empty, /an empty file/],
]

const refusal = (bytes: Uint8Array): string => {
  const read = readModelBytes(bytes)
  return E.isLeft(read) ? `${read.left.code} found ${read.left.found}. ${read.left.help}` : 'read'
}

describe('a file that is no ONNX model', () => {
  it.each(kinds)('is told what it is: %s', (_, bytes, words) => {
    expect(refusal(bytes)).toMatch(/^not-onnx found /)
    expect(refusal(bytes)).toMatch(words)
  })

  it('is a broken model where it is nothing known', () => {
    expect(refusal(Uint8Array.of(0xff, 0xfe, 0xfd))).toMatch(/^malformed-protobuf/)
    expect(refusal(Uint8Array.of(8, 8))).toMatch(/^required-field-missing/)
    // Named after what TensorFlow calls its inputs, and cut off: still a model by its beginning.
    const model = modelBytes({ input: [info('Placeholder')], output: [info('Placeholder')] })
    expect(refusal(model.subarray(0, model.length - 1))).toMatch(/^malformed-protobuf/)
  })

  it('is never a valid model, whatever it is called inside', () => {
    const words = ['TFL3', 'PK\x03\x04', '<html>', 'version https://git-lfs', 'tensorflow', 'GGUF']
    for (const word of words) {
      const named = modelBytes({
        name: word,
        input: [info(word)],
        output: [info(`${word} out`)],
        initializer: [floats('w', [1])],
        node: [node('Add', [word, 'w'], [`${word} out`])],
      })
      expect(refusal(named)).toBe('read')
    }
    for (const [name, bytes] of exporterModels().slice(0, 5))
      expect(`${name} ${refusal(bytes)}`).not.toContain('not-onnx')
  })
})

const folder = mkdtempSync(join(tmpdir(), 'chasec-not-onnx-'))
afterAll(() => rmSync(folder, { recursive: true }))

const refusalOf = async (name: string): Promise<string> => {
  const read = await readModel(join(folder, name))()
  return E.isLeft(read) ? `${read.left.code} found ${read.left.found}. ${read.left.help}` : 'read'
}

describe('a path that is no ONNX model', () => {
  it('is told by its name what it may be, where its content is nothing known', async () => {
    for (const name of ['frozen.pb', 'weights.H5', 'other.bin'])
      writeFileSync(join(folder, name), Uint8Array.of(0xff, 0xff))
    expect(await refusalOf('frozen.pb')).toMatch(/^malformed-protobuf .*By its name it is a TensorFlow graph\. Convert/)
    expect(await refusalOf('weights.H5')).toMatch(/By its name it is an HDF5 file/)
    expect(await refusalOf('other.bin')).not.toContain('name')
    writeFileSync(join(folder, 'model.onnx'), fixture('run.pt'))
    expect(await refusalOf('model.onnx')).toMatch(/a PyTorch checkpoint/)
  })

  it('may be a folder', async () => {
    const make = (name: string, ...files: ReadonlyArray<string>): void => {
      mkdirSync(join(folder, name))
      for (const one of files) writeFileSync(join(folder, name, one), '')
    }
    make('saved', 'saved_model.pb')
    make('hub', 'config.json', 'model.safetensors')
    make('exported', 'b.onnx', 'a.onnx')
    make('bare')
    expect(await refusalOf('saved')).toMatch(/^not-onnx found the folder of a TensorFlow SavedModel/)
    expect(await refusalOf('hub')).toMatch(/HuggingFace model.*optimum-cli export onnx/)
    expect(await refusalOf('exported')).toMatch(/Give a file in it: a\.onnx, b\.onnx/)
    expect(await refusalOf('bare')).toMatch(/found a folder/)
  })
})
