/** Files of images in the format of MNIST, plain and packed. */
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { unpacked } from '../../../src/train/data/files.ts'
import { parseIdx } from '../../../src/train/data/idx.ts'
import { type Draw, edgeInteger, mutate } from './draw.ts'
import { type FileKind, verdictOf } from './kind.ts'

const made = (draw: Draw): Uint8Array => {
  const rank = draw.chance(0.9) ? 3 : 1
  const sizes = Array.from({ length: rank }, () => 1 + draw.below(6))
  const said = sizes.map((size) => (draw.chance(0.8) ? size : Number(BigInt.asUintN(32, edgeInteger(draw)))))
  const bomb = draw.chance(0.01) ? 2 ** 24 : 0
  const content = new Uint8Array(4 + 4 * rank + sizes.reduce((a, b) => a * b, 1) + bomb)
  const view = new DataView(content.buffer)
  view.setUint32(0, 0x0800 + rank)
  said.forEach((size, i) => view.setUint32(4 + 4 * i, size))
  return content
}

export const dataFiles: FileKind = {
  share: 5,
  make: (draw) => {
    const plain = draw.chance(0.5) ? made(draw) : mutate(made(draw), draw)
    if (draw.chance(0.5)) return plain
    const packed = new Uint8Array(gzipSync(plain, { level: 1 }))
    return draw.chance(0.5) ? packed : mutate(packed, draw)
  },
  judge: async (bytes) => {
    const file = Readable.from([bytes])
    const isPacked = bytes[0] === 0x1f
    return verdictOf(await parseIdx(isPacked ? 'x.gz' : 'x', isPacked ? unpacked(file) : file, 3, 'Get another.'))
  },
}
