#!/bin/sh
# All that a machine with an NVIDIA GPU is wanted for, in this order, from the root of a checkout that was built (npm run build):
#   sh bench/gpu-machine.sh OUT
# Nothing is downloaded: CUDA has to be in place (chasec doctor --install-cuda). Each step has its time, the next one is made whatever
# comes of it, and what was measured lies in OUT. The same command goes on with the long one, the table of widths.
out=${1:?usage: sh bench/gpu-machine.sh OUT}
provider=${PROVIDER:-cuda}
mkdir -p "$out"

step() {
  name=$1
  seconds=$2
  shift 2
  echo "== $name"
  timeout "$seconds" "$@" >"$out/$name.txt" 2>&1
  echo "exit code $?" >>"$out/$name.txt"
  tail -n 3 "$out/$name.txt"
}

# 1. What is there.
step driver 20 nvidia-smi
step libraries 60 find / -xdev '(' -name 'libcublasLt.so*' -o -name 'libcudnn.so*' -o -name 'libvulkan.so*' ')'
step python 60 python3 -c 'import torch; print(torch.__version__, torch.version.cuda, torch.cuda.is_available())'
step doctor 240 node dist/cli/main.js doctor

# 2. and 3. Whether it computes the same (the errors in the table), and the table of widths.
step widths 1500 npx tsx bench/main.ts gpu --provider "$provider" --minutes 20 --progress "$out/widths-progress.json" \
  --out "$out/gpu.json" $GPU_OPTIONS

# 4. and 5. Training steps on all backends that are there: WebGPU, tfjs-node-gpu, WebAssembly.
step train-step 600 npx tsx bench/main.ts train-step --batches 32 --batches 128 --out "$out/train-step.json" $TRAIN_OPTIONS
