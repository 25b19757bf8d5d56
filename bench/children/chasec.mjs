/**
 * One compilation in a fresh process: node chasec.mjs MODEL MASKS|none FOLDER. Prints times in milliseconds and the peak
 * memory in bytes as JSON. Loading the library is not timed.
 */
import { join } from 'node:path'
import process from 'node:process'
import { performance } from 'node:perf_hooks'
import { compile, noMasks, readMasks, readModel, version, writePackage } from '../../dist/api/promise.js'
import { lowerInPieces } from '../../dist/export/lower.js'
import { writeFiles } from '../../dist/export/package.js'

const [model, masksFile, folder] = process.argv.slice(2)

const start = performance.now()
const graph = await readModel(model)
const masks = masksFile === 'none' ? noMasks : await readMasks(masksFile, graph)
const readAt = performance.now()
const compiled = await compile(graph, masks)
const compiledAt = performance.now()
const lowered = lowerInPieces(compiled.graph, { producer: version })
if (lowered._tag === 'Left') throw new Error(lowered.left.found)
const { chunks, length } = lowered.right.model
const loweredAt = performance.now()
await writeFiles(join(folder, 'model'), [{ name: 'model.onnx', chunks }])()
const writtenAt = performance.now()
const peakBytes = process.resourceUsage().maxRSS * 1024
await writePackage(compiled, join(folder, 'package'))
const packagedAt = performance.now()

process.stdout.write(
  JSON.stringify({
    milliseconds: {
      read: readAt - start,
      compile: compiledAt - readAt,
      encode: loweredAt - compiledAt,
      write: writtenAt - loweredAt,
      total: writtenAt - start,
      package: packagedAt - writtenAt,
    },
    peakBytes,
    outputBytes: length,
    macs: { before: compiled.report.before.macs, after: compiled.report.after.macs },
  }),
)
