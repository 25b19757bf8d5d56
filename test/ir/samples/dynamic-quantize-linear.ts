import { input, sample } from '../helpers.ts'

export default [sample('a matrix', [input([2, 3])], { opset: 11, outputs: 3 })]
