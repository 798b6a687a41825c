#!/bin/bash
# The same workflow with its steps written out: sbatch jobs/weather-steps.sh      (from the repository, after `make build`)
# A pool that a step starts ends with that step; so the batch script starts it first, and stops it when all steps are done.
#SBATCH --job-name=maestro-weather-steps
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --time=00:20:00
#SBATCH --output=weather-steps-%j.out

set -euo pipefail
here=${SLURM_SUBMIT_DIR:-$PWD}
export PATH=$here/.venv/bin:$PATH
export MAESTRO_POOL=weather-$SLURM_JOB_ID

run=$here/weather-steps-$SLURM_JOB_ID
mkdir "$run"
cp "$here"/jobs/weather/*.yaml "$run"
cd "$run"

maestro pool start --memory 2GiB --schema mars
trap 'maestro pool stop' EXIT

# MPI ranks of the mpich wheel find each other through pmi2; consumers are one task each.
srun --overlap --ntasks=1 --output=products.log maestro-weather products plan.yaml requirements.yaml --run run &
products=$!
srun --overlap --ntasks=1 --output=pictures.log maestro-weather pictures plan.yaml requirements.yaml --run run &
pictures=$!
srun --overlap --ntasks=2 --mpi=pmi2 --output=hammer.log maestro-weather hammer plan.yaml --run run

wait $products
wait $pictures
maestro ls
