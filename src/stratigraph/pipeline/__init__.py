"""The stages of a study, wired: each reads a store, writes a store, skips what exists."""

from stratigraph.pipeline.assess import assess_study, findings_of
from stratigraph.pipeline.compare import compare_study
from stratigraph.pipeline.disentangle import score_latents
from stratigraph.pipeline.export import export_study
from stratigraph.pipeline.extract import extract_study
from stratigraph.pipeline.latent_size import ChosenLatents, LatentSizeSettings, choose_latents
from stratigraph.pipeline.observe import observe_study
from stratigraph.pipeline.plan import StudyPlan, plan_study
from stratigraph.pipeline.progress import Progress
from stratigraph.pipeline.stages import STAGES, open_study, run_stage, run_study
from stratigraph.pipeline.trackers import TRACKERS, Tracker, open_tracker, track_study
from stratigraph.pipeline.train import train_run, train_study
from stratigraph.pipeline.verify import Damage, Verified, repair_study, verify_study

__all__ = [
    "STAGES",
    "TRACKERS",
    "ChosenLatents",
    "Damage",
    "LatentSizeSettings",
    "Progress",
    "StudyPlan",
    "Tracker",
    "Verified",
    "assess_study",
    "choose_latents",
    "compare_study",
    "export_study",
    "extract_study",
    "findings_of",
    "observe_study",
    "open_study",
    "open_tracker",
    "plan_study",
    "repair_study",
    "run_stage",
    "run_study",
    "score_latents",
    "track_study",
    "train_run",
    "train_study",
    "verify_study",
]
