"""A study at a URL: immutable versions of records, and inventories put last, which say what counts.

Everything else reads and writes folders; this room brings one, the *working copy*, and publishes
what is committed in it. It is loaded for a URL alone (`stratigraph.home`), and reads bottom up:

``store``         six operations on objects; a folder's, and a cloud's
``inventory``     numbered, created one after the other; the highest is true
``versions``      a record's files, hashed, under a name that is never used twice
``working_copy``  a part of a folder here, brought to what the URL says
``publication``   and what was made in it, published
``home``          which part of a study is whose

Nobody holds anything: no lease, no token, no clock. Why no reader sees half a state, and no writer
loses what another one published:

1. *An inventory is seen whole, and after what it names.* Versions are put first, then the
   inventory, by one `create`. A process killed anywhere before it leaves the old state, after it
   the new one.
2. *There is one line of inventories.* Each is created as the next number after one that was read,
   and a store lets one process create a number. Of two writers who read the same one, or a writer
   who was asleep since, the second is refused, and reads again.
3. *None goes back.* What is created on top of somebody else's inventory has the same of every step
   that that one names, and is further: a later step, more records. A writer that is not as far, or
   whose machine made other bits, is told so, stops, and takes what is there. So an inventory is
   always one writer's whole state, and nobody replaces another's snapshot.
4. *What is removed never counts again.* An inventory names only what the one before names, and
   versions that bear its own number. So what inventory n leaves out, of a number up to n, is named
   by none after it, and anybody may remove it at any time. A reader that still looks for it finds
   it gone, reads the newest inventory, and begins again.

Points 2 and 4 are why inventories are numbered and created, and a hash alone is not a version's
name. With one record that is simply put over, a writer who slept between reading and putting takes
the run back, and of a run that was done nobody puts it forward again. With names that are hashes
alone, B replaces A's ``config.json`` h (it marks a drift) and is about to remove h, A is further
and publishes h again, and B removes what counts; and what a killed writer left could not be told
from what another is putting now.

What two writers cost is work, and what a slower one uploaded, which the next publication removes.
"""

from stratigraph.remote.home import (
    Published as Published,
    RemoteHome as RemoteHome,
    bring_working_copy as bring_working_copy,
    verify_url as verify_url,
)
