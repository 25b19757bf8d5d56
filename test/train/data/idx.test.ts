import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { unpacked } from '../../../src/train/data/files.ts'
import { parseIdx } from '../../../src/train/data/idx.ts'

const header = (...sizes: ReadonlyArray<number>): Buffer => {
  const bytes = Buffer.alloc(4 + 4 * sizes.length)
  bytes.writeUInt32BE(0x0800 + sizes.length)
  sizes.forEach((size, i) => bytes.writeUInt32BE(size, 4 + 4 * i))
  return bytes
}

it('no more of an archive is unpacked than its header says there is', async () => {
  const packed = gzipSync(Buffer.concat([header(2, 2, 2), Buffer.alloc(2 ** 27)]))
  let given = 0
  async function* counted(): AsyncIterable<Uint8Array> {
    for await (const chunk of unpacked(Readable.from([packed]))) {
      given += chunk.length
      yield chunk
    }
  }
  expect(await parseIdx('x.gz', counted(), 3, 'Get another.')).toMatchObject({
    left: { _tag: 'DataError', expected: '24 bytes for 2x2x2' },
  })
  expect(given).toBeLessThan(2 ** 20)
})

it('a header that promises more than any data set has is refused before anything is unpacked', async () => {
  const packed = gzipSync(Buffer.concat([header(2 ** 31, 2 ** 31, 255), Buffer.alloc(2 ** 24)]))
  expect(await parseIdx('x.gz', unpacked(Readable.from([packed])), 3, 'Get another.')).toMatchObject({
    left: { _tag: 'DataError', expected: 'at most 2147483648 elements' },
  })
})
