// LoRA adapters with random weights, as PEFT saves them.

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { Checkpoint } from '../../runtime/checkpoint/checkpoint.ts'
import { randomSource } from './random-checkpoint.ts'
import { writeSafetensors } from './safetensors.ts'
import type { TensorToWrite } from './safetensors.ts'

const ALL_LINEAR = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj']

export interface AdapterOptions {
  seed?: number
  rank?: number
  alpha?: number
  targets?: string[]
  config?: Record<string, unknown>
  /** may change, add or take away tensors */
  change?: (tensors: Record<string, TensorToWrite>) => void
}

/** @returns the tensors as they were written */
export async function writeAdapter(
  folder: string,
  base: Pick<Checkpoint, 'tensors'>,
  options: AdapterOptions = {},
): Promise<Record<string, TensorToWrite>> {
  const { seed = 11, rank = 4, alpha = 8, targets = ALL_LINEAR } = options
  const random = randomSource(seed)
  const values = (count: number, spread: number) =>
    Float32Array.from({ length: count }, () => random() * spread)
  const tensors: Record<string, TensorToWrite> = {}
  for (const { name, shape } of base.tensors.values()) {
    const module = name.replace(/\.weight$/, '')
    if (!targets.includes(module.split('.').at(-1)!)) continue
    const [rows, columns] = shape as [number, number]
    const prefix = `base_model.model.${module}`
    tensors[`${prefix}.lora_A.weight`] = {
      shape: [rank, columns],
      values: values(rank * columns, Math.sqrt(3 / columns)),
    }
    tensors[`${prefix}.lora_B.weight`] = {
      shape: [rows, rank],
      values: values(rows * rank, 0.3),
    }
  }
  options.change?.(tensors)
  const config = {
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: 'org/base',
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0.05,
    target_modules: targets,
    bias: 'none',
    fan_in_fan_out: false,
    init_lora_weights: true,
    inference_mode: true,
    modules_to_save: null,
    layers_to_transform: null,
    rank_pattern: {},
    alpha_pattern: {},
    use_rslora: false,
    use_dora: false,
    ...options.config,
  }
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(config))
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors)
  return tensors
}
