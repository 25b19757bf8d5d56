import { input, sample } from '../../helpers.ts'

export default [sample('float32', [input([2, 3])]), sample('before opset 20', [input([2, 3])], { opset: 12 })]
