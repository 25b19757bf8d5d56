/** Tiny data sets in every format, written to a folder of the test. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import { encode } from 'fast-png'
import { afterAll } from 'vitest'
import { type Failure, renderError } from '../../../src/ir/failure.ts'
import { uniforms } from '../../inflate.ts'

/** A folder that is gone after the tests of the file. */
export const temporaryFolder = (): string => {
  const folder = mkdtempSync(join(tmpdir(), 'chasec-data-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const write = (path: string, bytes: Uint8Array | string): string => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, bytes)
  return path
}

export const orThrow = <A>(result: E.Either<Failure, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

export const errorOf = (result: E.Either<Failure, unknown>): Failure => {
  if (E.isRight(result)) throw new Error('no error')
  return result.left
}

export const randomBytes = (length: number, seed: number): Uint8Array => {
  const uniform = uniforms(seed)
  return Uint8Array.from({ length }, () => Math.floor(256 * uniform()))
}

/** Records of `labelBytes` label bytes and 3072 pixels. */
export const cifarRecords = (images: Uint8Array, labels: ReadonlyArray<ReadonlyArray<number>>): Uint8Array => {
  const parts = labels.map((own, i) => [...own, ...images.subarray(i * 3072, (i + 1) * 3072)])
  return Uint8Array.from(parts.flat())
}

/** A PNG with one image a row, from images in planes. */
export const strip = (images: Uint8Array): Uint8Array => {
  const rows = images.length / 3072
  const data = new Uint8Array(images.length)
  for (let image = 0; image < rows; image++) {
    for (let i = 0; i < 1024; i++) {
      for (let c = 0; c < 3; c++) data[image * 3072 + 3 * i + c] = images[image * 3072 + c * 1024 + i] ?? 0
    }
  }
  return encode({ width: 1024, height: rows, data, channels: 3, depth: 8 })
}

/** An IDX file of unsigned bytes. */
export const idx = (sizes: ReadonlyArray<number>, content: Uint8Array, magic = 0x0800 + sizes.length): Uint8Array => {
  const header = new DataView(new ArrayBuffer(4 + 4 * sizes.length))
  header.setUint32(0, magic)
  for (const [i, size] of sizes.entries()) header.setUint32(4 + 4 * i, size)
  return Uint8Array.from([...new Uint8Array(header.buffer), ...content])
}

/** MNIST's four files of `train` and `test` images of 4x5; labels count up from 0. */
export const writeMnist = (folder: string, train: number, test: number): { readonly images: Uint8Array } => {
  const images = randomBytes(20 * train, 1)
  write(join(folder, 'train-images-idx3-ubyte'), idx([train, 4, 5], images))
  write(
    join(folder, 'train-labels-idx1-ubyte'),
    idx(
      [train],
      Uint8Array.from({ length: train }, (_, i) => i % 10),
    ),
  )
  write(join(folder, 't10k-images-idx3-ubyte'), idx([test, 4, 5], randomBytes(20 * test, 2)))
  write(
    join(folder, 't10k-labels-idx1-ubyte'),
    idx(
      [test],
      Uint8Array.from({ length: test }, (_, i) => (i + 1) % 10),
    ),
  )
  return { images }
}
