#!/bin/bash
# The weather workflow as a batch job: sbatch jobs/weather.sh      (from the repository, after `make build`)
# One `maestro run` starts everything: it writes the srun lines, keeps the pool, and ends all components together.
# Results lie in weather-<job id>/ below the folder from which the job was submitted.
#SBATCH --job-name=maestro-weather
#SBATCH --nodes=1
#SBATCH --ntasks=2
#SBATCH --time=00:20:00
#SBATCH --output=weather-%j.out

set -euo pipefail
here=${SLURM_SUBMIT_DIR:-$PWD}
export PATH=$here/.venv/bin:$PATH

run=$here/weather-${SLURM_JOB_ID:-$$}
mkdir "$run"
cp "$here"/jobs/weather/*.yaml "$run"
cd "$run"

maestro doctor || true # for the log: what this node lacks
maestro run workflow.yaml --logs logs
