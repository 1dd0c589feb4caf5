using System;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using Kmem.Engine.Caches;

namespace Kmem;

/// <summary>
/// Stands between the engine, which knows no exceptions, and a user's constructor, which may throw: the exception waits in
/// the thread and leaves from the public call.
/// </summary>
internal sealed unsafe class ConstructorBridge : IDisposable
{
    [ThreadStatic]
    private static ExceptionDispatchInfo? t_pending;

    [ThreadStatic]
    private static bool t_refused;

    private readonly string _cacheName;
    private readonly delegate*<void*, void*, bool> _constructor;
    private readonly delegate*<void*, void*, void> _destructor;
    private readonly void* _context;
    private GCHandle _self;

    public ConstructorBridge(string cacheName, KmemCacheOptions options)
    {
        _cacheName = cacheName;
        _constructor = options.Constructor;
        _destructor = options.Destructor;
        _context = options.Context;
        _self = GCHandle.Alloc(this);
    }

    public bool HasConstructor => _constructor != null;

    /// <summary>Whether a constructor returned false or threw in this thread since the flag was last taken.</summary>
    public static bool Refused => t_refused;

    public static bool TakeRefusal()
    {
        bool refused = t_refused;
        t_refused = false;
        return refused;
    }

    public static void ThrowPending()
    {
        ExceptionDispatchInfo? pending = t_pending;
        if (pending != null)
        {
            t_pending = null;
            pending.Throw();
        }
    }

    public void Fill(CacheDefinition* definition, KmemCacheOptions options)
    {
        definition->Context = (void*)GCHandle.ToIntPtr(_self);
        definition->Constructor = options.Constructor != null ? &Construct : null;
        definition->Destructor = options.Destructor != null ? &Destroy : null;
    }

    public void Dispose() => _self.Free();

    private static ConstructorBridge From(void* context) => (ConstructorBridge)GCHandle.FromIntPtr((nint)context).Target!;

    private static bool Construct(void* round, void* context)
    {
        ConstructorBridge bridge = From(context);
        try
        {
            if (bridge._constructor(round, bridge._context))
            {
                return true;
            }
        }
#pragma warning disable CA1031 // Whatever the constructor throws leaves from the public call, when the engine's structures are whole again.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            t_pending = ExceptionDispatchInfo.Capture(exception);
        }

        t_refused = true;
        return false;
    }

    private static void Destroy(void* round, void* context)
    {
        ConstructorBridge bridge = From(context);
        try
        {
            bridge._destructor(round, bridge._context);
        }
#pragma warning disable CA1031 // A destructor may run in any thread and any call: there is nobody to throw to.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Environment.FailFast($"Kmem: the destructor of the cache '{bridge._cacheName}' threw.", exception);
        }
    }
}
