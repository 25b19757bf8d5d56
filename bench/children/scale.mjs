/**
 * One compilation without verification in a fresh process: node scale.mjs MODEL FOLDER. Prints times in milliseconds and the
 * peak memory in bytes as JSON. Loading the library is not timed.
 */
import { join } from 'node:path'
import process from 'node:process'
import { setFlagsFromString } from 'node:v8'
import { performance } from 'node:perf_hooks'
import { compile, noMasks, readModel, writePackage } from '../../dist/api/promise.js'

// As the command line does.
setFlagsFromString('--heap-growing-percent=50')
const [model, folder] = process.argv.slice(2)
const [start, before] = [performance.now(), process.cpuUsage()]
const graph = await readModel(model)
const nodes = graph.nodes.length
const compiled = await compile(graph, noMasks)
await writePackage(compiled, join(folder, 'package'))
const { user, system } = process.cpuUsage(before)
process.stdout.write(
  JSON.stringify({
    nodes,
    wallMilliseconds: performance.now() - start,
    cpuMilliseconds: (user + system) / 1000,
    peakBytes: process.resourceUsage().maxRSS * 1024,
  }),
)
