/** One file, written as a whole or not at all, also when the user presses Ctrl-C meanwhile. */
import * as E from 'fp-ts/lib/Either.js'
import type { WriteError } from '../disk/error.ts'
import { writeFile } from '../disk/write-file.ts'
import { formatBytes } from '../report/units.ts'
import { uninterrupted } from './interrupt.ts'

/** The options of the same names: what is there is replaced, and nothing is written. */
export interface WriteFlags {
  readonly force?: true
  readonly dryRun?: true
}

/** What a dry run says of what it has not written: `list`, and nothing where it has. */
export const notWritten = ({ dryRun }: WriteFlags, list: string): string =>
  dryRun === undefined ? '' : `Dry run: nothing was written. It would have been ${list}.`

/** What a dry run adds to JSON. */
export const dryRunJson = ({ dryRun }: WriteFlags): { readonly dryRun?: true } =>
  dryRun === undefined ? {} : { dryRun }

/** `masks.safetensors (3.1 kB)` */
export const fileOf = (name: string, bytes: number): string => `${name} (${formatBytes(bytes)})`

/** As `writeFile` of `src/disk`; gives the bytes of the file. */
export const writeFileWhole = async (
  path: string,
  chunks: Iterable<Uint8Array>,
  { force = false, dryRun = false }: { readonly [flag in keyof WriteFlags]?: boolean },
): Promise<E.Either<WriteError, number>> => {
  let bytes = 0
  function* counted(): Iterable<Uint8Array> {
    for (const chunk of chunks) {
      bytes += chunk.byteLength
      yield chunk
    }
  }
  const written = await uninterrupted((signal) => writeFile(path, counted(), { replace: force, signal, dry: dryRun }))
  return E.isLeft(written) ? written : E.right(bytes)
}

/** Whether these files can be written, before what is to be in them is computed. Errors: those of {@link writeFileWhole}. */
export const tryFiles = async (
  paths: ReadonlyArray<string>,
  flags: { readonly [flag in keyof WriteFlags]?: boolean },
): Promise<E.Either<WriteError, undefined>> => {
  for (const path of paths) {
    const free = await writeFileWhole(path, [], { ...flags, dryRun: true })
    if (E.isLeft(free)) return free
  }
  return E.right(undefined)
}
