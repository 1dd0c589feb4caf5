using EntityStore.Rules;

namespace EntityStore;

/// <summary>The loop's body. What it asks of a world depends on the seed only.</summary>
internal sealed class Game(IWorld world, int entities, float side, ulong seed)
{
    private Dice _dice = new(seed);

    public IWorld World => world;

    public long Spawned { get; private set; }

    public void Step()
    {
        world.RemoveDead();
        while (world.Count < entities)
        {
            world.Spawn(Birth.Roll(ref _dice, side));
            Spawned++;
        }

        world.Chase(ref _dice);
        world.Move();
        world.Collide();
    }
}
