"""What a study knows of a question, the claims that are asked of it, and what they find."""

from stratigraph.evidence.evidence import Evidence as Evidence
from stratigraph.evidence.from_study import gather as gather
from stratigraph.evidence.trajectories import (
    LEAST_ROOM as LEAST_ROOM,
    part_of as part_of,
    similarity_to_final as similarity_to_final,
    steps_to_reach as steps_to_reach,
)
