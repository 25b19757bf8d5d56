import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { readDirectory, readZip } from '../../src/masks/zip.ts'
import { contentOf } from '../../src/masks/zip-content.ts'
import { little } from './checkpoint/assemble.ts'
import { concat, crcOf, utf8, zip } from './files.ts'

/** What a Zip64 archive of one stored file says instead of the truth. */
interface Lies {
  /** The plain sizes and offset of the entry. */
  readonly size?: number
  readonly compressed?: number
  readonly offset?: number
  /** The Zip64 field's numbers; those of the file where the plain ones are full. */
  readonly field?: ReadonlyArray<number | bigint>
  readonly fieldId?: number
  readonly fieldLength?: number
  /** Extra fields before it. */
  readonly before?: Uint8Array
  /** The plain end record. */
  readonly count?: number
  readonly directorySize?: number
  readonly directoryOffset?: number
  /** The Zip64 end record and its locator. */
  readonly wideCount?: number | bigint
  readonly wideCountHere?: number
  readonly wideSize?: number | bigint
  readonly wideOffset?: number | bigint
  readonly recordSize?: number | bigint
  readonly recordMagic?: number
  readonly disk?: number
  readonly recordAt?: number | bigint
  readonly disks?: number
  readonly locator?: boolean
}

const full = 0xffffffff
const content = utf8('twelve bytes')

const zip64 = (lies: Lies = {}): Uint8Array => {
  const name = utf8('a')
  const common = concat(little(2, 45), little(2, 0), little(2, 0), little(4, 0), little(4, crcOf(content)))
  const local = concat(
    little(4, 0x04034b50),
    common,
    little(4, full),
    little(4, full),
    little(2, 1),
    little(2, 0),
    name,
  )
  const { size = full, compressed = full, offset = full } = lies
  const truth = [
    ...(size === full ? [content.length] : []),
    ...(compressed === full ? [content.length] : []),
    ...(offset === full ? [0] : []),
  ]
  const numbers = concat(...(lies.field ?? truth).map((n) => little(8, n)))
  const field = concat(little(2, lies.fieldId ?? 1), little(2, lies.fieldLength ?? numbers.length), numbers)
  const extra = concat(lies.before ?? new Uint8Array(), field)
  const directory = concat(
    ...[little(4, 0x02014b50), little(2, 45), common, little(4, compressed), little(4, size), little(2, 1)],
    ...[
      little(2, extra.length),
      little(2, 0),
      little(2, 0),
      little(2, 0),
      little(4, 0),
      little(4, offset),
      name,
      extra,
    ],
  )
  const start = local.length + content.length
  const record = concat(
    ...[little(4, lies.recordMagic ?? 0x06064b50), little(8, lies.recordSize ?? 44), little(2, 45), little(2, 45)],
    ...[little(4, lies.disk ?? 0), little(4, 0), little(8, lies.wideCountHere ?? lies.wideCount ?? 1)],
    ...[
      little(8, lies.wideCount ?? 1),
      little(8, lies.wideSize ?? directory.length),
      little(8, lies.wideOffset ?? start),
    ],
  )
  const locator = concat(
    ...[little(4, 0x07064b50), little(4, 0), little(8, lies.recordAt ?? start + directory.length)],
    little(4, lies.disks ?? 1),
  )
  const count = lies.count ?? 0xffff
  const end = concat(
    ...[little(4, 0x06054b50), little(4, 0), little(2, count), little(2, count)],
    ...[little(4, lies.directorySize ?? full), little(4, lies.directoryOffset ?? full), little(2, 0)],
  )
  return concat(local, content, directory, ...(lies.locator === false ? [] : [record, locator]), end)
}

const read = (bytes: Uint8Array): string => {
  const files = readZip(bytes)
  if (E.isLeft(files)) return renderError(files.left)
  return files.right
    .map((file) => {
      const data = contentOf(file)
      return `${file.name} ${E.isLeft(data) ? renderError(data.left) : new TextDecoder().decode(data.right)}`
    })
    .join(' ')
}

describe('the end of an archive that is not held', () => {
  it.each([
    [
      'with plain records',
      zip([
        { name: 'a', content },
        { name: 'b', content, deflated: true },
      ]),
    ],
    ['with Zip64', zip64()],
  ])('gives the directory that the whole archive has, %s', (_, bytes) => {
    const all = readDirectory(bytes, 0)
    if (E.isLeft(all)) return expect.unreachable()
    const { records, start } = all.right
    for (const before of [1, start - 1, start]) {
      const tail = readDirectory(bytes.subarray(before), before)
      if (E.isLeft(tail)) return expect.unreachable()
      expect(tail.right.start).toBe(start - before)
      expect(tail.right.records.map(({ name, offset, size }) => [name, offset, size])).toEqual(
        records.map(({ name, offset, size }) => [name, offset, size]),
      )
    }
    for (let before = start + 1; before <= bytes.length; before++) {
      expect(E.isLeft(readDirectory(bytes.subarray(before), before))).toBe(true)
    }
  })
})

describe('Zip64', () => {
  it('has what does not fit in its own records', () => {
    expect(read(zip64())).toBe('a twelve bytes')
    expect(read(zip64({ size: 12, compressed: 12 }))).toBe('a twelve bytes')
    expect(read(zip64({ offset: 0, count: 1 }))).toBe('a twelve bytes')
    expect(read(zip64({ compressed: 12, offset: 0 }))).toBe('a twelve bytes')
    expect(read(zip64({ before: concat(little(2, 0x4246), little(2, 3), utf8('ZZZ')) }))).toBe('a twelve bytes')
    // PyTorch writes its end record where the plain one would do.
    expect(
      read(zip64({ size: 12, compressed: 12, offset: 0, count: 1, directorySize: 51, directoryOffset: 43, field: [] })),
    ).toBe('a twelve bytes')
  })

  it.each<readonly [string, Lies, RegExp]>([
    ['no locator', { locator: false }, /a Zip64 end record, found none/],
    ['an end record elsewhere', { recordAt: 0 }, /a Zip64 end record, found none at 0/],
    ['an end record beyond', { recordAt: 2n ** 60n }, /a Zip64 end record, found none at 1152921504606847000/],
    ['an end record of another kind', { recordMagic: 1 }, /a Zip64 end record, found none/],
    ['an end record that is too short', { recordSize: 43 }, /right before its locator, found 43 bytes/],
    ['an end record that is too long', { recordSize: 2n ** 63n }, /right before its locator/],
    ['several parts', { disks: 2 }, /one part/],
    ['another part', { disk: 1 }, /one part/],
    ['fewer files here', { wideCountHere: 0 }, /one part/],
    ['another count in the plain record', { count: 2 }, /the same directory in both end records/],
    ['another size in the plain record', { directorySize: 9 }, /the same directory in both end records/],
    ['another place in the plain record', { directoryOffset: 9 }, /the same directory in both end records/],
    ['a directory of 2^60 bytes', { wideSize: 2n ** 60n }, /right before its end record/],
    ['a directory at 2^60', { wideOffset: 2n ** 60n }, /right before its end record/],
    ['2^60 files', { wideCount: 2n ** 60n }, /a directory entry/],
    ['no files', { wideCount: 0 }, /0 entries in the directory, found \d+ bytes more/],
    ['no field', { fieldId: 2 }, /sizes in its Zip64 field, found none/],
    ['a field that is too short', { field: [12, 12] }, /sizes in its Zip64 field, found none/],
    ['a field beyond its entry', { fieldLength: 99 }, /sizes in its Zip64 field, found none/],
    ['a size of 2^63', { field: [2n ** 63n, 2n ** 63n, 0] }, /ends before the directory/],
    ['two sizes', { field: [13, 12, 0] }, /13 bytes stored as they are, found 12/],
    ['an offset of 2^53', { field: [12, 12, 2n ** 53n] }, /a header, found none/],
    ['an offset into the file', { field: [12, 12, 1] }, /a header, found none at 1/],
  ])('is refused with %s', (_, lies, message) => expect(read(zip64(lies))).toMatch(message))

  it('is refused where it is cut off', () => {
    const whole = zip64()
    for (let length = 0; length < whole.length; length++)
      expect(read(whole.subarray(0, length))).toMatch(/a directory at its end/)
  })

  it('is told from a plain archive whose last name looks like a locator', () => {
    const name = 'PK\x06\x07 is no locator.'
    const bytes = zip([{ name: `${'x'.repeat(9)}${name.slice(0, 20)}`, content }])
    expect(read(bytes)).toContain('twelve bytes')
  })
})
