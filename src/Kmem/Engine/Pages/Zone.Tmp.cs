namespace Kmem.Engine.Pages;
internal unsafe partial struct Zone
{
    public static nuint Purge(Zone* zone, long now, long age) => Purger.Purge(zone, now, age);
    public static ZoneFault Validate(Zone* zone) => ZoneValidation.Validate(zone);
}
