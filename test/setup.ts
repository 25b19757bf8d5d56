import * as fc from 'fast-check'

/** Properties draw the same cases on every run; `npm run fuzz` is there to draw others. */
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env['SEED'] ?? 20) })
