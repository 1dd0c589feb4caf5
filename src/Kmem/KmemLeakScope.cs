namespace Kmem;

/// <summary>Placeholder of the number of the scope that the current flow is in.</summary>
internal static class KmemLeakScope
{
    public static nuint CurrentNumber => 0;
}
