/** Image files to pixels. Both libraries are loaded when they are needed. Node only. */
import type { DecodedPng } from 'fast-png'
import type sharp from 'sharp'
import { systemReason } from '../../ir/system-reason.ts'

export type Sharp = typeof sharp

export const loadSharp = async (): Promise<Sharp> => (await import('sharp')).default

export interface Pixels {
  readonly width: number
  readonly height: number
  /** Numbers of a pixel, which lie next to each other. */
  readonly channels: number
  readonly data: Uint8Array
}

/** Pixels of the largest PNG file that is unpacked: those of a strip of CIFAR-10 are a sixth of it. */
const mostPixels = 2 ** 26

/** Throws where the header of a PNG file declares more pixels than are ever needed. */
const checkPixels = (bytes: Uint8Array): void => {
  if (bytes.length < 24) return
  const header = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const [width, height] = [header.getUint32(16), header.getUint32(20)]
  if (width * height > mostPixels) throw new Error(`${width}x${height} pixels`)
}

/** Rejects where neither package that reads PNG files can be loaded. */
export class NoDecoder extends Error {}

const loadFastPng = async (): Promise<(bytes: Uint8Array) => DecodedPng> => (await import('fast-png')).decode

/**
 * The pixels of a PNG file with 8 bits a number: by sharp where it is installed (0.2 s for ten thousand images), else by
 * fast-png, written in JavaScript (1 s). Rejects where it is not such a file, with `NoDecoder` where neither is installed.
 */
export const decodePng = async (bytes: Uint8Array, load = loadSharp, loadOther = loadFastPng): Promise<Pixels> => {
  checkPixels(bytes)
  const library = await load().catch(() => undefined)
  if (library !== undefined) {
    const { data, info } = await library(bytes).raw().toBuffer({ resolveWithObject: true })
    const { width, height, channels } = info
    return { width, height, channels, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
  }
  const decode = await loadOther().catch((thrown: unknown) => {
    throw new NoDecoder(systemReason(thrown).split('\n', 1)[0])
  })
  const { width, height, channels, depth, data } = decode(bytes)
  if (!(data instanceof Uint8Array)) throw new Error(`${depth} bits a number`)
  return { width, height, channels, data }
}
