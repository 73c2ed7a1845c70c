"""Every class that a gin file may name."""

from tfquarl.agents.d4pg import builder as d4pg_builder
from tfquarl.agents.dqn import builder as dqn_builder
from tfquarl.collector import config as collector_config
from tfquarl.converter import conversion_worker
from tfquarl.converter import parity_gate
from tfquarl.evaluator import config as evaluator_config
from tfquarl.learner import learner_config
from tfquarl.metrics import energy
from tfquarl.networks import quantization_aware
from tfquarl.program import experiment
from tfquarl.program import restarts
from tfquarl.program import study_config
from tfquarl.replay import replay_config

CLASSES = (
    experiment.Experiment,
    experiment.EnvironmentConfig,
    experiment.ScaleConfig,
    restarts.SupervisionConfig,
    dqn_builder.DqnBuilder,
    d4pg_builder.D4pgBuilder,
    replay_config.ReplayConfig,
    learner_config.LearnerConfig,
    conversion_worker.ConverterConfig,
    parity_gate.ParityConfig,
    quantization_aware.QuantizationAwareConfig,
    collector_config.CollectorConfig,
    evaluator_config.EvaluatorConfig,
    energy.EnergyConfig,
    study_config.StudyConfig,
)
