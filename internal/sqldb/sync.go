package sqldb

import "belfry/internal/sqlite"

// commit is a group that is committed, and to be answered once the disk has it.
type commit struct {
	jobs  []*job
	log   sqlite.Log
	wrote bool
}

// The writer's connection runs with synchronous=NORMAL, under which SQLite syncs the log before it moves it into the
// database, and before it begins the log anew, but not at a commit: the writer does that itself. It is what FULL does,
// but for the time: the next group is written while this one is synced, so that neither the processor nor the disk
// waits for the other. Nobody is answered before the sync. Groups are synced one after the other, and answered in order, also
// those that changed nothing: they may have seen what the one before wrote.

// sync syncs a commit and answers it. The one before is done.
func (w *writer) sync(c commit) {
	alone := len(c.jobs) == 1 && w.queue.len() == 0 // nothing is there to be done meanwhile
	if alone || !c.wrote {
		w.finish(c)
		return
	}
	w.group, w.spare = w.spare, w.group
	w.syncing = true
	w.commits <- c
}

// syncCommits does so beside the writer, until there are no more.
func (w *writer) syncCommits() {
	for c := range w.commits {
		w.finish(c)
		w.synced <- struct{}{}
	}
}

// settle waits for the commit that is being synced, if there is one.
func (w *writer) settle() {
	if w.syncing {
		<-w.synced
		w.syncing = false
	}
}

// finish syncs a commit and answers its jobs. After a sync that has failed no other proves anything.
func (w *writer) finish(c commit) {
	defer clear(c.jobs)
	if c.wrote {
		if err := c.log.Sync(); err != nil {
			w.fail(c.jobs, err)
			return
		}
	}
	if err := w.health.refusal(); err != nil {
		answerAll(c.jobs, err)
		return
	}
	if c.wrote {
		w.health.clear()
	}
	for _, j := range c.jobs {
		j.answer(j.err)
	}
}
