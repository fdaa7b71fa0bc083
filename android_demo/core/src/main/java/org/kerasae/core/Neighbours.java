package org.kerasae.core;

/** What a search finds, by distance, and at equal distance by id. */
public final class Neighbours {
    public final long[] ids;
    public final int[] distances;

    Neighbours(long[] ids, int[] distances) {
        this.ids = ids;
        this.distances = distances;
    }

    public int size() {
        return ids.length;
    }
}
