/** The main program of the process that tries one training backend: its name in argv, what came of it as a message. */
import { backendNames } from '../../train/backend/backend.ts'
import { tryBackend } from '../../train/backend/open.ts'

const name = backendNames.find((known) => known === process.argv[2])
if (name === undefined) throw new Error(`"${process.argv[2] ?? ''}" is no backend`)
const attempt = await tryBackend(name)()
// Native libraries may keep the process alive, or crash while it ends: whoever asked ends it.
process.send?.(attempt)
