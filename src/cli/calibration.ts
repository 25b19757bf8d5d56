/** Calibration sets as the command line names them, and the statistics that come of them. */
import { Option } from 'commander'
import { open, stat } from 'node:fs/promises'
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { decodeStatistics, encodeStatistics, looksLikeStatistics, type Statistics } from '../masks/statistics.ts'
import { calibrate } from '../package/calibrate.ts'
import { readBytes } from '../read/bytes.ts'
import { dataKinds, parseDataSource } from '../train/data/open.ts'
import { atLeast, DependentOption } from './flags.ts'
import type { Say } from './progress.ts'
import { fileOf, type WriteFlags, writeFileWhole } from './write-file.ts'
import { existing, offering, safetensorsFile, wrongBy } from './wrong-argument.ts'

export interface CalibrationFlags {
  readonly calibrate?: string
  readonly statistics?: string
  readonly samples?: number
}

const path = existing('a file or folder')

/** A path, or a kind of data and a folder. */
const sourceOf = offering(
  (text) => {
    const kind = text.slice(0, Math.max(0, text.indexOf(':')))
    if (!dataKinds.includes(kind)) return path(text)
    const source = parseDataSource(text)
    if (E.isLeft(source)) throw wrongBy(source.left)
    return text
  },
  { words: dataKinds.map((kind) => `${kind}:`), files: true },
)

export const calibrateOption = (): Option =>
  new Option(
    '--calibrate <data>',
    'inputs that activations are looked at on: arrays (.npy, .npz or a folder of them), mnist:DIR, images:DIR, or kept statistics',
  ).argParser(sourceOf)

export const samplesOption = (): Option =>
  new DependentOption(
    '--samples <count>',
    'samples that are looked at, at most (default: 128)',
    '--calibrate',
  ).argParser(atLeast(1))

export const statisticsOption = (): Option =>
  new DependentOption(
    '--statistics <file>',
    'keep the statistics in this file, for --calibrate of the next time',
    '--calibrate',
  ).argParser(safetensorsFile)

export interface Calibrated {
  readonly statistics?: Statistics
  /** The file that they are kept in, with its size. */
  readonly file?: string
}

/** The statistics that were asked for, if they were, kept where that was asked for, too. */
export const statisticsBy = async (
  graph: Graph,
  { calibrate: source, statistics: output, samples }: CalibrationFlags,
  writing: WriteFlags,
  say: Say,
): Promise<E.Either<Failure, Calibrated>> => {
  if (source === undefined) return E.right({})
  const found = await readStatistics(graph, source, samples, say)
  if (E.isLeft(found)) return found
  const statistics = found.right
  if (output === undefined) return E.right({ statistics })
  say(`writing ${output}`)
  const written = await writeFileWhole(output, encodeStatistics(statistics), writing)
  return E.isLeft(written) ? written : E.right({ statistics, file: fileOf(output, written.right) })
}

const readStatistics = async (
  graph: Graph,
  source: string,
  samples: number | undefined,
  say: Say,
): Promise<E.Either<Failure, Statistics>> => {
  if (await isStatistics(source)) {
    say(`reading ${source}`)
    const bytes = await readBytes(source)
    return E.isLeft(bytes) ? bytes : decodeStatistics(bytes.right)
  }
  say(`calibrating with ${source}`)
  return calibrate(graph, source, {
    ...(samples === undefined ? {} : { samples }),
    onProgress: (seen) => say(`calibrating with ${source}: ${seen} samples`),
  })()
}

/** Whether a file begins as one of statistics does; what cannot be opened is for others to tell. */
const isStatistics = async (source: string): Promise<boolean> => {
  try {
    if (!(await stat(source)).isFile()) return false
    const file = await open(source)
    try {
      const { buffer, bytesRead } = await file.read(new Uint8Array(16), 0, 16, 0)
      return looksLikeStatistics(buffer.subarray(0, bytesRead))
    } finally {
      await file.close()
    }
  } catch {
    return false
  }
}
